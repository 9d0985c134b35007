"""Translate an image with Triton: python triton_client.py HOST:PORT MODEL SOURCE OUTPUT. Needs tritonclient[grpc], NumPy and Pillow."""

import sys

import numpy as np
from PIL import Image
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

server, model, source, output = sys.argv[1:5]

with InferenceServerClient(server) as client:  # one for many images, and for many threads
    metadata = client.get_model_metadata(model)
    given, gives = metadata.inputs[0], metadata.outputs[0]
    if given.datatype != "UINT8":
        sys.exit("expected a model that takes uint8; export it with: pixlate export MODEL FILE.onnx")
    channels = given.shape[-1]
    image = np.asarray(Image.open(source).convert("L" if channels == 1 else "RGB"))
    batch = image.reshape(1, *image.shape[:2], channels)  # or np.stack of several images of one size, up to --max-batch
    request = InferInput(given.name, batch.shape, given.datatype)
    request.set_data_from_numpy(batch)
    answer = client.infer(model, [request], outputs=[InferRequestedOutput(gives.name)], client_timeout=60)
    translated = answer.as_numpy(gives.name)

Image.fromarray(translated[0].squeeze(2) if translated.shape[-1] == 1 else translated[0]).save(output)
