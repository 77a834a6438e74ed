from contextlib import asynccontextmanager
from typing import Annotated

import torch
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import Base64Bytes, BaseModel
from safetensors.torch import load_file
from torch import nn

from examples.moved.pictures import read
from models.zoo.digits import Digits


class Picture(BaseModel):
    image: Base64Bytes


class Answer(BaseModel):
    label: int
    probability: float


@asynccontextmanager
async def lifespan(app):
    network = Digits()
    network.load_state_dict(load_file("models/zoo/digits.safetensors"))
    app.state.network = network.eval()
    yield


app = FastAPI(lifespan=lifespan)


def loaded(request: Request) -> nn.Module:
    return request.app.state.network


@app.post("/classify")
def classify(picture: Picture, network: Annotated[nn.Module, Depends(loaded)]) -> Answer:
    try:
        row = torch.from_numpy(read(picture.image))
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
    with torch.inference_mode():
        probabilities, label = network(row)
    return Answer(label=label.item(), probability=probabilities.max().item())
