"""Audio and images: the official client, forms that are never held whole, answers of any kind."""

import pathlib

import openai
import pytest
from harness import fake_engine as fe
from harness.mesh import engine, model, pool
from harness.wait import MEMORY_TELLS, eventually

SOUND = b"RIFF\x00\xff\r\n--\r\n" * 20_000
MEBIBYTE = 1 << 20


def client_of(mesh) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{mesh.url}/v1", api_key="sk-test", max_retries=0)


@pytest.fixture
def asked(start, fake):
    """A mesh before one scripted engine that serves whisper, and the official client."""
    heard = fake("whisper")
    mesh = start.up(heard.url)
    return heard, mesh, client_of(mesh)


def test_a_transcription_reaches_the_engine_byte_for_byte(asked):
    heard, _, client = asked
    heard.then(fe.json_reply({"text": "hello"}))
    done = client.audio.transcriptions.create(
        model="whisper", file=("a.wav", SOUND), language="en", temperature=0.0
    )
    assert done.text == "hello"
    request = heard.wait_whole()
    assert request.target == "/v1/audio/transcriptions"
    boundary = request.header("content-type").split("boundary=")[1].encode()
    assert request.body.count(b"--" + boundary) >= 4
    assert SOUND in request.body
    assert int(request.header("content-length")) == len(request.body)
    assert request.header("authorization") is None


def test_a_transcription_streams(asked):
    heard, _, client = asked
    delta = {"type": "transcript.text.delta", "delta": "hel"}
    done = {"type": "transcript.text.done", "text": "hello"}
    heard.then(fe.stream(fe.event(delta), fe.event(done)))
    events = list(
        client.audio.transcriptions.create(model="whisper", file=("a.wav", SOUND), stream=True)
    )
    assert [event.type for event in events] == [delta["type"], done["type"]]


def test_a_translation_and_text_that_is_no_json(asked):
    heard, _, client = asked
    heard.then(fe.body_reply(b"1\n00:00 --> 00:01\nhello\n", "application/x-subrip"))
    text = client.audio.translations.create(
        model="whisper", file=("a.wav", SOUND), response_format="srt"
    )
    assert text == "1\n00:00 --> 00:01\nhello\n"


def test_speech_comes_back_as_it_is(asked):
    heard, _, client = asked
    head = fe.head_bytes(200, {"content-type": "audio/mpeg", "transfer-encoding": "chunked"})
    pieces = b"".join(fe.chunk(SOUND[at : at + 5000]) for at in range(0, len(SOUND), 5000))
    heard.then(fe.raw(head + pieces + fe.LAST_CHUNK))
    with client.audio.speech.with_streaming_response.create(
        model="whisper", voice="alloy", input="hello"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert b"".join(answer.iter_bytes()) == SOUND


def test_images_are_made_edited_and_varied(asked):
    heard, _, client = asked
    picture = {"created": 1, "data": [{"b64_json": "AAAA"}]}
    heard.then(*[fe.json_reply(picture)] * 3)
    made = client.images.generate(model="whisper", prompt="a cat")
    edited = client.images.edit(model="whisper", image=("a.png", SOUND), prompt="a hat")
    varied = client.images.create_variation(model="whisper", image=("a.png", SOUND))
    assert made.data[0].b64_json == edited.data[0].b64_json == varied.data[0].b64_json == "AAAA"
    assert [request.target for request in heard.heard] == [
        "/v1/images/generations",
        "/v1/images/edits",
        "/v1/images/variations",
    ]
    assert SOUND in heard.heard[1].body and SOUND in heard.heard[2].body


def test_a_refusal_of_the_engine_is_an_error_of_the_client(asked):
    heard, _, client = asked
    heard.then(fe.error_reply(400, "no such voice"))
    with pytest.raises(openai.BadRequestError, match="no such voice"):
        client.audio.speech.create(model="whisper", voice="alloy", input="hello")


def test_a_form_is_routed_and_renamed_by_its_model(start, fake):
    one, two = fake("served-one"), fake("served-two")
    mesh = start.run(
        [
            engine("e1", one.url),
            engine("e2", two.url),
            pool("p1", ["e1"]),
            pool("p2", ["e2"]),
            model("whisper", "p2", served_name="served-two"),
        ]
    )
    two.then(fe.json_reply({"text": "two"}))
    done = client_of(mesh).audio.transcriptions.create(model="whisper", file=("a.wav", SOUND))
    assert done.text == "two" and not one.heard
    assert b"\r\n\r\nserved-two\r\n" in two.wait_whole().body
    assert SOUND in two.heard[0].body


def memory_kib(pid: int, field: str) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise AssertionError(f"no {field}")


def upload(mesh, path: str, size: int, content_type: str, before: bytes, after: bytes) -> int:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: t\r\ncontent-type: {content_type}\r\n"
        f"content-length: {len(before) + size + len(after)}\r\n\r\n"
    )
    block = bytes(MEBIBYTE)
    with mesh.wire() as wire:
        wire.send(head.encode() + before)
        for _ in range(size // MEBIBYTE):
            wire.send(block)
        wire.send(after)
        return wire.answer(within=60).status


def test_an_upload_of_a_hundred_mebibytes_is_never_held(start, fake):
    heard = fake("whisper")
    mesh = start.up(heard.url, shards=1)
    part = b'--bb\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    before = part % b"model" + b"whisper\r\n" + part % b"file"
    form = "multipart/form-data; boundary=bb"
    route = "/v1/audio/transcriptions"
    assert upload(mesh, route, 2 * MEBIBYTE, form, before, b"\r\n--bb--\r\n") == 200
    calm = memory_kib(mesh.program.pid, "VmHWM")
    assert upload(mesh, route, 100 * MEBIBYTE, form, before, b"\r\n--bb--\r\n") == 200
    grown = memory_kib(mesh.program.pid, "VmHWM") - calm
    assert grown < 1024 or not MEMORY_TELLS, f"{grown} KiB more than a short upload"
    eventually(lambda: len(heard.heard[-1].body) > 100 * MEBIBYTE, "all of it has come")
