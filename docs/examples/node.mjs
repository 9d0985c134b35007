// Translate an image: node node.mjs MODEL.onnx SOURCE.ppm OUTPUT.ppm [cpu|cuda]. Needs onnxruntime-node; PPM because Node.js decodes no images.
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import ort from "onnxruntime-node";

const [model, source, output, device = "cpu"] = process.argv.slice(2);

// onnxruntime-node does not read metadata; it is field 14 of the file's protobuf, made of a key (1) and a value (2).
function metadata(bytes, wanted) {
  let at = 0;
  const varint = () => {
    for (let value = 0, factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const text = (end) => {
    const fields = [];
    while (at < end) {
      const field = varint() >> 3;
      const length = varint();
      fields[field] = bytes.toString("utf8", at, (at += length));
    }
    return fields;
  };
  while (at < bytes.length) {
    const tag = varint();
    if ((tag & 7) === 0) varint();
    else if ((tag & 7) !== 2) throw new Error("not an ONNX file");
    else {
      const end = varint() + at;
      if (tag >> 3 === 14) {
        const [, key, value] = text(end);
        if (key === wanted) return value;
      }
      at = end;
    }
  }
}

const bytes = readFileSync(model);
const spec = JSON.parse(metadata(bytes, "pixlate") ?? "{}");
if (spec.io !== "uint8") throw new Error("expected a file that takes uint8; export it with: pixlate export RUN MODEL.onnx");

const file = readFileSync(source);
const [header, kind, width, height] = /^P([56])\s+(\d+)\s+(\d+)\s+255\s/.exec(file.toString("latin1", 0, 64));
const channels = kind === "6" ? 3 : 1;
if (channels !== spec.channels_in) throw new Error(`expected ${spec.channels_in} channels, got ${channels}`);
const pixels = new Uint8Array(file.subarray(header.length, header.length + width * height * channels));

const session = await ort.InferenceSession.create(bytes, { executionProviders: [device], intraOpNumThreads: availableParallelism() });
const image = new ort.Tensor("uint8", pixels, [1, Number(height), Number(width), channels]);
const { translated } = await session.run({ image });

const [, rows, columns, planes] = translated.dims;
writeFileSync(output, Buffer.concat([Buffer.from(`P${planes === 3 ? 6 : 5}\n${columns} ${rows}\n255\n`), Buffer.from(translated.data)]));
