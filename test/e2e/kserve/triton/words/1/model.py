"""For Triton's Python backend: says its input word by word; the word "fail" is an error."""

import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            text = pb.get_input_tensor_by_name(request, "text_input").as_numpy().flatten()[0]
            for word in text.decode().split():
                if word == "fail":
                    sender.send(pb.InferenceResponse(error=pb.TritonError("told to fail")))
                    break
                said = pb.Tensor("text_output", np.array([word.encode()], dtype=object))
                sender.send(pb.InferenceResponse([said]))
            sender.send(flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
