"""ResNet-50 with torchvision's parameter names, so that its checkpoints load (its v1.5: the 3x3 strides).

He et al., https://arxiv.org/abs/1512.03385. Pixels travel as bytes and are normalised here, on the device.
"""

from functools import partial

import torch
from torch import Tensor, nn

from .seeded import seeded

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_conv3 = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)
_conv1 = partial(nn.Conv2d, kernel_size=1, bias=False)


def resnet50(num_classes: int = 1000, seed: int = 0) -> nn.Module:
    """Return ResNet-50 with seeded random weights: image uint8 [n, 3, h, w] to logits [n, num_classes]."""
    with seeded(seed):
        net = ResNet(num_classes)
        for part in net.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(part, Bottleneck):
                # Untrained batch norm tames nothing in eval: at 1, each block would double the variance of its input.
                nn.init.constant_(part.bn3.weight, 0.25)
    return net


class ResNet(nn.Module):
    """The stem, four stages and the classifier."""

    mean: Tensor
    std: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        # Not persistent: the state dict must hold torchvision's keys and no other.
        self.register_buffer("mean", 255 * torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(_STD).view(3, 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, 3, 1)
        self.layer2 = _stage(256, 128, 4, 2)
        self.layer3 = _stage(512, 256, 6, 2)
        self.layer4 = _stage(1024, 512, 3, 2)
        self.fc = nn.Linear(2048, num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """Map image uint8 [n, 3, h, w] to logits [n, num_classes]."""
        x = (image.to(self.mean.dtype) - self.mean) / self.std
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up to four times the width, and the way around them."""

    def __init__(self, narrow: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv1(narrow, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3(width, width, stride=stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv1(width, 4 * width)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(narrow, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        z: Tensor = self.bn3(self.conv3(y)) + self.downsample(x)
        return z.relu()


def _shortcut(narrow: int, wide: int, stride: int) -> nn.Sequential:
    """Return torchvision's downsample; where it has none, an empty one, which has no parameters and changes nothing."""
    if narrow == wide and stride == 1:
        return nn.Sequential()
    return nn.Sequential(_conv1(narrow, wide, stride=stride), nn.BatchNorm2d(wide))


def _stage(narrow: int, width: int, depth: int, stride: int) -> nn.Sequential:
    rest = [Bottleneck(4 * width, width, 1) for _ in range(1, depth)]
    return nn.Sequential(Bottleneck(narrow, width, stride), *rest)
