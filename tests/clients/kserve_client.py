"""KServe's own clients, unmodified: python kserve_client.py HTTP_ADDRESS GRPC_ADDRESS.

Runs in an environment of its own, and prints the name of each check before it runs it.
"""

import asyncio
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

HTTP, GRPC = sys.argv[1:]


def request(model: str, values: list[float], binary: bool) -> InferRequest:
    tensor = InferInput(name="x", shape=[len(values), 1], datatype="FP32")
    tensor.set_data_from_numpy(np.array(values, np.float32)[:, None], binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[tensor], request_id="7")


async def rest() -> None:
    base = f"http://{HTTP}"
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0, timeout=30))
    assert await client.is_server_live(base)
    assert await client.is_server_ready(base)
    assert await client.is_model_ready(base, "slow")
    for binary in (False, True):
        answer = await client.infer(base, request("slow", [1, 2], binary), model_name="slow")
        assert answer.id == "7"
        assert answer.outputs[0].as_numpy().ravel().tolist() == [2, 4]


async def grpc() -> None:
    client = InferenceGRPCClient(url=GRPC, timeout=30)
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert await client.is_model_ready("slow")
    for binary in (False, True):
        answer = await client.infer(request("slow", [1, 2], binary))
        assert answer.outputs[0].as_numpy().ravel().tolist() == [2, 4]
    await client.close()


for check in (rest, grpc):
    print(check.__name__, flush=True)
    asyncio.run(check())
