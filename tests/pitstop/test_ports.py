"""Free ports are another at each call, so that two servers of one test never get the same."""

from pitstop.ports import free_port


def test_a_free_port_is_not_given_out_again() -> None:
    given = [free_port(run=3) for _ in range(50)]
    assert len({port + offset for port in given for offset in range(3)}) == 150
