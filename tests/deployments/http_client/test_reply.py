"""Answers read from bytes, wherever those are cut."""

import pytest

from deployments.http_client.reply import Reply, ReplyReader
from deployments.http_client.request import head, post

PLAIN = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["eager", "lazy"])
def reader(request: pytest.FixtureRequest) -> ReplyReader:
    return ReplyReader(request.param)


def read(reader: ReplyReader, *pieces: bytes) -> Reply | None:
    """Feed pieces to a reader; return what the last one made whole."""
    for piece in pieces[:-1]:
        assert reader.feed(piece) is None
    return reader.feed(pieces[-1])


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED])
def test_an_answer_is_whole_wherever_it_is_cut_and_not_before_its_last_byte(reader: ReplyReader, answer: bytes) -> None:
    for cut in range(1, len(answer)):
        reply = read(reader, answer[:cut], answer[cut:])
        assert reply is not None
        assert reply.status == int(answer[9:12])
        assert reply.body == b"hello"


def test_the_names_of_headers_are_in_lower_case(reader: ReplyReader) -> None:
    reply = read(reader, PLAIN)
    assert reply is not None
    assert reply.headers == {b"retry-after": b"2", b"content-length": b"5"}


@pytest.mark.parametrize(
    "line, keep_alive", [(b"Server: x", True), (b"Connection: close", False), (b"connection: CLOSE", False)]
)
def test_the_last_word_on_the_connection_is_the_servers(reader: ReplyReader, line: bytes, keep_alive: bool) -> None:
    assert reader.feed(PLAIN.replace(b"Retry-After: 2", line))
    assert reader.keep_alive == keep_alive


def test_one_reader_reads_one_answer_after_the_other(reader: ReplyReader) -> None:
    for answer, status in ((PLAIN, 503), (CHUNKED, 200), (PLAIN, 503)):
        reply = reader.feed(answer)
        assert reply is not None
        assert (reply.status, reply.body) == (status, b"hello")


def test_a_100_comes_ahead_of_the_answer_and_is_none(reader: ReplyReader) -> None:
    ahead = b"HTTP/1.1 100 Continue\r\nX-Hint: a\r\n\r\n"
    for pieces in ((ahead, CHUNKED), (ahead + CHUNKED,)):
        reply = read(reader, *pieces)
        assert reply is not None
        assert (reply.status, reply.body, b"x-hint" in reply.headers) == (200, b"hello", False)


def test_an_answer_without_a_length_ends_with_the_connection(reader: ReplyReader) -> None:
    assert reader.feed(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhel") is None
    assert reader.feed(b"lo") is None
    reply = reader.end()
    assert reply is not None
    assert reply.body == b"hello"


@pytest.mark.parametrize("cut", [0, 5, 30, len(PLAIN) - 1])
def test_half_an_answer_does_not_end_with_the_connection(reader: ReplyReader, cut: int) -> None:
    assert reader.feed(PLAIN[:cut]) is None
    assert reader.end() is None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        PLAIN + PLAIN,
        PLAIN + b"HTT",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_what_is_not_one_answer_is_refused(reader: ReplyReader, data: bytes) -> None:
    with pytest.raises(ValueError, match="answer"):
        reader.feed(data)


def test_a_request_carries_its_length_and_headers() -> None:
    assert post("/infer", "a:1", {"Content-Type": "text/plain"}.items(), b"abc").split(b"\r\n") == [
        b"POST /infer HTTP/1.1",
        b"host: a:1",
        b"Content-Type: text/plain",
        b"content-length: 3",
        b"",
        b"abc",
    ]
    assert head("GET", "/", "a:1", ()) == b"GET / HTTP/1.1\r\nhost: a:1\r\n\r\n"
