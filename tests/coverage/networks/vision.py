"""Networks that look at pictures."""

import io

import numpy as np
import torch
from torch import nn
from torch.nn import functional

CLASSES = ["cat", "dog", "bird", "fish", "frog"]


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.head = nn.Linear(16, len(CLASSES))

    def forward(self, image):
        x = self.features(image.float() / 255)
        return self.head(x.flatten(1)).softmax(dim=1)


def vit():
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return ViTForImageClassification(ViTConfig(image_size=32, patch_size=8, num_labels=5, **small))


def convnext():
    from transformers import ConvNextConfig, ConvNextForImageClassification

    torch.manual_seed(0)
    return ConvNextForImageClassification(
        ConvNextConfig(hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], num_labels=5)
    )


def segformer():
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    torch.manual_seed(0)
    small = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]}
    return SegformerForSemanticSegmentation(SegformerConfig(decoder_hidden_size=16, num_labels=4, **small))


class UNet(nn.Module):
    """Segments an image of any size that 4 divides."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down1, self.down2 = self.block(3, 8), self.block(8, 16)
        self.middle = self.block(16, 16)
        self.up2, self.up1 = self.block(32, 8), self.block(16, 8)
        self.head = nn.Conv2d(8, 4, 1)

    @staticmethod
    def block(before, after):
        return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())

    def forward(self, image):
        one = self.down1(image.float() / 255)
        two = self.down2(functional.max_pool2d(one, 2))
        x = self.middle(functional.max_pool2d(two, 2))
        x = self.up2(torch.cat([functional.interpolate(x, scale_factor=2.0), two], dim=1))
        x = self.up1(torch.cat([functional.interpolate(x, scale_factor=2.0), one], dim=1))
        return self.head(x)


class Classes(UNet):
    """The class of each pixel."""

    def forward(self, image):
        return super().forward(image).argmax(dim=1).to(torch.uint8)


def classes():
    """The class of each pixel, made behind the network."""
    return lambda rows: {"classes": rows["output"].argmax(axis=1).astype(np.uint8)}


class Strides(nn.Module):
    """Halves the image: once rounded up, and once down."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down = nn.Conv2d(1, 4, 1, stride=2), nn.Conv2d(1, 4, 2, stride=2)

    def forward(self, image):
        return {"up": self.up(image), "down": self.down(image)}


class PerPixel(nn.Module):
    """Corrects each pixel by itself, whatever the size of the image."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 1), nn.GELU(), nn.Conv2d(8, 3, 1))

    def forward(self, image):
        return self.layers(image)


class Vae(nn.Module):
    """Draws a picture like the one given."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.decoder = nn.Linear(64, 16), nn.Linear(8, 64)

    def forward(self, image):
        mean, log_variance = self.encoder(image.flatten(1)).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return torch.sigmoid(self.decoder(z)).view_as(image)


class Diffusion(nn.Module):
    """Denoises random numbers in a few steps, as the label says."""

    def __init__(self, steps=5):
        super().__init__()
        torch.manual_seed(0)
        self.labels = nn.Embedding(10, 8)
        self.net = nn.Sequential(nn.Linear(64 + 8 + 1, 32), nn.SiLU(), nn.Linear(32, 64))
        betas = torch.linspace(1e-2, 0.2, steps)
        self.register_buffer("alphas", 1 - betas)
        self.register_buffer("products", torch.cumprod(1 - betas, 0))

    def forward(self, label):
        wanted = self.labels(label)
        x = torch.randn(label.shape[0], 64, device=label.device)
        for step in reversed(range(len(self.alphas))):
            time = torch.full_like(x[:, :1], step / len(self.alphas))
            noise = self.net(torch.cat([x, wanted, time], dim=1))
            alpha, product = self.alphas[step], self.products[step]
            x = (x - (1 - alpha) / (1 - product).sqrt() * noise) / alpha.sqrt()
            if step > 0:
                x = x + (1 - alpha).sqrt() * torch.randn_like(x)
        return x.view(-1, 8, 8)


class Siamese(nn.Module):
    """Whether two pictures show the same."""

    def __init__(self):
        super().__init__()
        self.tower = Cnn().features

    def forward(self, left, right):
        left, right = self.tower(left).flatten(1), self.tower(right).flatten(1)
        return functional.cosine_similarity(left, right)


class AlwaysTrains(Cnn):
    """Uses the statistics of its batch, in eval too."""

    def forward(self, image):
        x = self.features[0](image.float() / 255)
        x = functional.batch_norm(x, None, None, training=True)
        return self.head(self.features[2:](x).flatten(1)).softmax(dim=1)


class MonteCarlo(nn.Module):
    """Drops values in inference too, so that several answers show how certain it is."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = functional.dropout(self.first(x).relu(), 0.3)
        return self.second(x)


def clip():
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": 50, "max_position_embeddings": 16, "bos_token_id": 48, "eos_token_id": 49, **small}
    vision = {"image_size": 32, "patch_size": 16, **small}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))


class ZeroShot(nn.Module):
    """How well each of a picture's candidate texts fits it."""

    def __init__(self):
        super().__init__()
        self.clip = clip()

    def forward(self, pixel_values, input_ids):
        rows, candidates, tokens = input_ids.shape
        found = self.clip(input_ids=input_ids.reshape(-1, tokens), pixel_values=pixel_values)
        texts = found.text_embeds.view(rows, candidates, -1)
        return (texts @ found.image_embeds.unsqueeze(2)).squeeze(2)


class SuperResolution(nn.Module):
    """Twice as many pixels a side, as ESPCN makes them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 12, 1), nn.PixelShuffle(2))

    def forward(self, image):
        return self.layers(image)


class Labels:
    """A JPEG in, the name of what it shows out."""

    def preprocess(self, rows):
        return {"image": np.stack([self.read(each) for each in rows["jpeg"].ravel()])}

    def postprocess(self, rows):
        best = rows["output"].argmax(axis=1)
        return {"label": [CLASSES[each] for each in best], "score": rows["output"].max(axis=1)}

    @staticmethod
    def read(jpeg):
        from PIL import Image

        image = Image.open(io.BytesIO(jpeg)).convert("RGB").resize((32, 32))
        return np.asarray(image).transpose(2, 0, 1)


class AnySize:
    """JPEGs of any size, one size a request."""

    def preprocess(self, rows):
        from PIL import Image

        images = [np.asarray(Image.open(io.BytesIO(each)), np.float32) for each in rows["jpeg"].ravel()]
        return {"image": np.stack(images).transpose(0, 3, 1, 2) / 255}


def a_jpeg():
    from PIL import Image

    written = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(written, "JPEG")
    return {"jpeg": np.array([written.getvalue()], object)}
