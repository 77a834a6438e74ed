import base64

import litserve
import torch
from safetensors.torch import load_file

from examples.moved.pictures import read
from models.zoo.digits import Digits


class Api(litserve.LitAPI):
    def setup(self, device):
        network = Digits()
        network.load_state_dict(load_file("models/zoo/digits.safetensors"))
        self.network = network.to(device).eval()

    def decode_request(self, request):
        return torch.from_numpy(read(base64.b64decode(request["image"]))[0])

    def predict(self, images):  # a batch, as torch.stack made it
        with torch.inference_mode():
            probabilities, labels = self.network(images.to(self.device))
        return list(zip(labels.tolist(), probabilities.amax(1).tolist(), strict=True))

    def encode_response(self, output):
        label, probability = output
        return {"label": label, "probability": probability}


if __name__ == "__main__":
    api = Api(max_batch_size=16, batch_timeout=0.01)
    litserve.LitServer(api, workers_per_device=1, timeout=30).run(host="127.0.0.1", port=8080)
