"""Spans at an OpenTelemetry collector: read with OpenTelemetry's own message definitions."""

import http.server
import threading

import pytest
from harness.mesh import engine, run_cli
from harness.wait import eventually
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Collector:
    """Takes POST /v1/traces as a collector's OTLP/HTTP receiver does."""

    def __init__(self):
        self.requests: list[ExportTraceServiceRequest] = []
        self.heads: list[tuple[str, str]] = []
        self.status = 200
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.heads.append((self.path, self.headers["content-type"]))
                if collector.status == 200:
                    collector.requests.append(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(collector.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def attributes(owner) -> dict[str, object]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in owner.attributes
    }


def test_a_request_is_one_span_of_its_clients_trace(routed, collector):
    mesh, one = routed(otlp_endpoint=collector.url, trace_interval="20ms")
    mesh.chat(stream=True, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    eventually(lambda: collector.spans(), "a span")
    (span,) = collector.spans()
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT
    assert span.kind == Span.SPAN_KIND_SERVER
    assert span.start_time_unix_nano < span.end_time_unix_nano
    assert [event.name for event in span.events] == ["infermesh.routed", "infermesh.first_byte"]
    said = attributes(span)
    assert said["http.response.status_code"] == 200
    assert said["infermesh.stream"] is True
    assert said["infermesh.engine"] and said["gen_ai.request.model"]
    assert one.heard[-1].header("traceparent") == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert collector.heads[0] == ("/v1/traces", "application/x-protobuf")
    resource = attributes(collector.requests[0].resource_spans[0].resource)
    assert resource["service.name"] == "infermesh" and resource["service.version"]


def test_a_grpc_call_is_a_span_too(start, fake, collector):
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("tritonclient.grpc")
    from harness.grpc_engine import GrpcEngine
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    one = GrpcEngine("e1")
    named = engine("e1", fake().url, grpc_url=f"http://{one.address}")
    mesh = start.run([named], otlp_endpoint=collector.url, trace_interval="20ms")
    with grpc.insecure_channel(mesh.ready["listen"]) as channel:
        service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(
            service_pb2.ModelInferRequest(model_name="m"),
            metadata=[("traceparent", f"00-{TRACE}-{PARENT}-01")],
        )
    eventually(lambda: collector.spans(), "a span")
    one.close()
    (span,) = collector.spans()
    assert span.parent_span_id.hex() == PARENT
    assert span.name == "inference.GRPCInferenceService/ModelInfer"
    said = attributes(span)
    assert said["rpc.system"] == "grpc" and said["rpc.grpc.status_code"] == 0
    assert said["infermesh.engine"] == "e1" and said["gen_ai.request.model"] == "m"
    assert one.metadata[0]["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"


def test_what_is_left_is_sent_when_the_process_stops(routed, collector):
    mesh, one = routed(otlp_endpoint=collector.url, trace_interval="60s")
    mesh.chat()
    assert not collector.spans()
    mesh.program.stop()
    assert len(collector.spans()) == 1


def test_a_collector_that_is_away_costs_spans_and_no_requests(routed, collector):
    collector.status = 400
    mesh, one = routed(otlp_endpoint=collector.url, trace_interval="20ms")
    assert mesh.chat().status == 200
    eventually(lambda: mesh.metric("infermesh_spans_total", result="rejected") == 1, "a loss")
    collector.status = 200
    mesh.chat()
    eventually(lambda: mesh.metric("infermesh_spans_total", result="exported") == 1, "a span")
    assert mesh.program.log().count("the trace collector takes no spans") == 1
    assert mesh.program.log().count("the trace collector takes spans again") == 1


def test_an_endpoint_that_is_no_url_is_refused_at_start():
    done = run_cli("run", "--otlp-endpoint", "ftp://collector:4318")
    assert done.returncode == 2
    for word in ("otlp_endpoint", "ftp", "http://HOST:PORT"):
        assert word in done.stderr, done.stderr
