import pytest

from benchmarks.client.http import UNTIL_LAST_CHUNK, is_whole, parse, request, whole_length

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"


def test_a_request_carries_its_length_and_headers() -> None:
    sent = request("/infer", {"Content-Type": "text/plain"}, b"abc")
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /infer HTTP/1.1"
    assert b"Content-Length: 3" in lines
    assert b"Content-Type: text/plain" in lines
    assert body == b"abc"


@pytest.mark.parametrize("end", range(len(PLAIN)))
def test_an_answer_is_whole_only_when_its_last_byte_has_come(end: int) -> None:
    length = whole_length(PLAIN[:end])
    assert not (length and is_whole(PLAIN[:end], length))


@pytest.mark.parametrize("answer", [PLAIN, PLAIN.replace(b"Content-Length", b"content-length"), CHUNKED])
def test_a_whole_answer_is_read_back(answer: bytes) -> None:
    assert is_whole(answer, whole_length(answer))
    assert parse(answer).status == 200
    assert parse(answer).body == b"hello"


def test_a_length_at_the_end_of_the_head_is_found() -> None:
    answer = b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nno"
    assert whole_length(answer) == len(answer)
    assert parse(answer).status == 503
    assert parse(answer).headers["retry-after"] == "1"


def test_a_chunked_answer_ends_with_its_last_chunk() -> None:
    assert whole_length(CHUNKED) == UNTIL_LAST_CHUNK
    assert not is_whole(CHUNKED[:-1], UNTIL_LAST_CHUNK)
