"""The smallest model there is, to try whether an execution provider runs."""

TINY_MODEL = bytes.fromhex(
    "080812003a4c0a190a05696e70757412066f757470757422084964656e74697479120474696e795a130a05696e707574120a0a08080112040a02080162140a066f7574707574120a0a08080112040a02080142040a001011"
)
"""An ONNX model of one Identity node, float ``input`` [1] to ``output`` [1]; ``test_tiny_model_is_one_identity_node`` makes it again."""
