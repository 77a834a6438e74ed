from pathlib import Path

import numpy as np
import torch
import triton_python_backend_utils as pb_utils
from network import Digits
from safetensors.torch import load_file


class TritonPythonModel:
    def initialize(self, args):
        folder = Path(args["model_repository"]) / args["model_version"]
        self.model = Digits()
        self.model.load_state_dict(load_file(folder / "digits.safetensors"))
        self.model.eval()

    def execute(self, requests):
        images = [pb_utils.get_input_tensor_by_name(request, "image").as_numpy() for request in requests]
        with torch.inference_mode():
            probabilities, label = self.model(torch.from_numpy(np.concatenate(images)))
        ends = np.cumsum([len(image) for image in images])[:-1]
        answers = zip(np.split(probabilities.numpy(), ends), np.split(label[:, None].numpy(), ends), strict=True)
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("probabilities", rows), pb_utils.Tensor("label", labels)])
            for rows, labels in answers
        ]
