from benchmarks import grpc_client, grpc_codec
from benchmarks.grpc_table import Round, render
from deployments.stubs import open_inference_pb2 as pb

CPU = {"front": 350.4, "haproxy": 80.0, "replica": 250.0, "client": 200.0}
RECORD = {
    "hardware": {"cpu": "A CPU", "cores": 2},
    "date": "2026-11-25T01:00:00+00:00",
    "commit": "abc",
    "load_average": [0.5, 1, 1],
    "codec": {"joined": 0.3},
}


def test_the_table_shows_the_medians_and_the_spread_of_each_way() -> None:
    rounds = [Round("front", 16, rate, 1.0, p99, CPU) for rate, p99 in ((900, 5.0), (1100, 7.0), (1000, 6.0))]
    text = render(RECORD, [*rounds, *[Round("one hop", 1, 500, 2, 3, CPU)] * 3])
    assert "| front | 16 | 1000 (900 to 1100) | 1.00 | 6.00 | 350 | 80 | 250 | 200 |" in text
    assert "| one hop | 1 | 500 (500 to 500) | 2.00 | 3.00 | 350 | 80 | 250 | 200 |" in text
    assert "medians of 3 rounds" in text
    assert "joined 0.30" in text


def test_the_request_is_one_row_of_the_mlp() -> None:
    found = pb.ModelInferRequest.FromString(grpc_client.request())
    assert (found.model_name, list(found.inputs[0].shape), len(found.raw_input_contents[0])) == ("mlp", [1, 64], 256)


def test_the_ways_to_write_a_message_are_compared_by_name() -> None:
    assert grpc_codec.measure().keys() == {"written by protobuf", "joined", "read by protobuf", "viewed"}
