"""For MLServer: says its input word by word."""

from typing import AsyncIterator

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Words(MLModel):
    async def load(self) -> bool:
        return True

    async def predict_stream(
        self, payloads: AsyncIterator[InferenceRequest]
    ) -> AsyncIterator[InferenceResponse]:
        async for payload in payloads:
            for word in StringCodec.decode_input(payload.inputs[0])[0].split():
                yield InferenceResponse(
                    model_name=self.name,
                    model_version=self.version,
                    id=payload.id,
                    outputs=[StringCodec.encode_output("text_output", [word])],
                )
