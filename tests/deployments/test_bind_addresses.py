import pytest

from deployments.bind_addresses import on


@pytest.mark.parametrize(
    "host, address",
    [
        ("127.0.0.1", "127.0.0.1:1"),
        ("localhost", "localhost:1"),
        ("::1", "[::1]:1"),
        ("0.0.0.0", "[::]:1"),
        ("::", "[::]:1"),
        ("", "[::]:1"),
    ],
)
def test_an_address_is_written_as_grpc_takes_it(host: str, address: str) -> None:
    assert on(host, 1) == address
