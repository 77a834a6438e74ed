"""A small CNN for scikit-learn's handwritten digits, the model of the first minute.

Bytes become numbers here, on the device, so the wire carries 64 bytes a digit. Its /predict hooks are in
digits_image.py, its weights come from train_digits.py.
"""

import torch
from torch import Tensor, nn


class Digits(nn.Module):
    """Three convolutions with batch norm, one dropout, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(64)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(64 * 4 * 4, 10)

    def logits(self, image: Tensor) -> Tensor:
        """Map image uint8 [n, 1, 8, 8] to logits [n, 10] in the precision of the weights."""
        x = image.to(self.fc.weight.dtype) / 255
        x = self.bn1(self.conv1(x)).relu()
        x = self.pool(self.bn2(self.conv2(x)).relu())
        x = self.bn3(self.conv3(x)).relu()
        y: Tensor = self.fc(self.dropout(x.flatten(1)))
        return y

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map image uint8 [n, 1, 8, 8] to probabilities float32 [n, 10] and label int64 [n]."""
        probabilities = torch.softmax(self.logits(image).float(), dim=1)
        return probabilities, probabilities.argmax(dim=1)
