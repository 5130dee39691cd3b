"""A KServe v2 engine over gRPC whose every answer is scripted, on grpcio's own server."""

from __future__ import annotations

import threading
from concurrent import futures

import grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc

OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.so_reuseport", 0),
]


class GrpcEngine(rpc.GRPCInferenceServiceServicer):
    """Answers with what it was asked, unless a test sets `infer` or `stream`."""

    def __init__(self, name: str = "e", port: int = 0, tls: grpc.ServerCredentials | None = None):
        self.name = name
        self.heard: list[pb.ModelInferRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.time_left: list[float | None] = []
        self.gone = threading.Event()  # a call was cancelled
        self.infer = self.echo
        self.stream = self.echo_stream
        self.server = grpc.server(futures.ThreadPoolExecutor(32), options=OPTIONS)
        rpc.add_GRPCInferenceServiceServicer_to_server(self, self.server)
        where = f"127.0.0.1:{port}"
        if tls:
            self.port = self.server.add_secure_port(where, tls)
        else:
            self.port = self.server.add_insecure_port(where)
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()

    def close(self) -> None:
        self.server.stop(0).wait()

    def note(self, context: grpc.ServicerContext) -> None:
        self.metadata.append(dict(context.invocation_metadata()))
        self.time_left.append(context.time_remaining())
        context.add_callback(lambda: self.gone.set() if not context.is_active() else None)

    def echo(self, request: pb.ModelInferRequest, _: grpc.ServicerContext):
        answer = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
        answer.parameters["engine"].string_param = self.name
        answer.raw_output_contents.extend(request.raw_input_contents)
        return answer

    def echo_stream(self, requests, context: grpc.ServicerContext):
        for request in requests:
            self.heard.append(request)
            yield pb.ModelStreamInferResponse(infer_response=self.echo(request, context))

    # ---- the service
    def ModelInfer(self, request, context):
        self.heard.append(request)
        self.note(context)
        return self.infer(request, context)

    def ModelStreamInfer(self, request_iterator, context):
        self.note(context)
        yield from self.stream(request_iterator, context)

    def ModelReady(self, request, context):
        return pb.ModelReadyResponse(ready=request.name == "m")

    def ModelMetadata(self, request, context):
        return pb.ModelMetadataResponse(name=request.name, platform=self.name)


def hang(_: pb.ModelInferRequest, context: grpc.ServicerContext):
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait()
    return pb.ModelInferResponse()


def refuse(code: grpc.StatusCode, message: str):
    def reply(_: pb.ModelInferRequest, context: grpc.ServicerContext):
        context.set_trailing_metadata((("x-why", "because"),))
        context.abort(code, message)

    return reply
