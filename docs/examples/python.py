"""Translate an image: python python.py MODEL.onnx SOURCE OUTPUT [cpu|cuda]. Needs onnxruntime (or onnxruntime-gpu), NumPy and Pillow."""

import json
import os
import sys

import numpy as np
import onnxruntime
from PIL import Image

model, source, output = sys.argv[1:4]
device = sys.argv[4] if len(sys.argv) > 4 else "cpu"

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
cuda = ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"})
session = onnxruntime.InferenceSession(model, options, providers=[cuda, "CPUExecutionProvider"] if device == "cuda" else ["CPUExecutionProvider"])
if device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
    sys.exit("ONNX Runtime cannot load CUDA and would run on the CPU")

spec = json.loads(session.get_modelmeta().custom_metadata_map.get("pixlate", "{}"))
if spec.get("io") != "uint8":
    sys.exit("expected a file that takes uint8; export it with: pixlate export RUN MODEL.onnx")

image = np.asarray(Image.open(source).convert("L" if spec["channels_in"] == 1 else "RGB"))
batch = image.reshape(1, *image.shape[:2], spec["channels_in"])  # or np.stack of several images of one size
(translated,) = session.run(["translated"], {"image": batch})
Image.fromarray(translated[0].squeeze(2) if spec["channels_out"] == 1 else translated[0]).save(output)
