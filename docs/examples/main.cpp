// Translate an image: translate MODEL.onnx SOURCE.ppm OUTPUT.ppm [cpu|cuda]. Needs ONNX Runtime alone; PPM stands for the decoder of your choice.
#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

struct Image {
  std::int64_t height, width, channels;
  std::vector<std::uint8_t> pixels;  // row after row, the channels of a pixel side by side
};

Image read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  Image image{};
  int peak = 0;
  file >> kind >> image.width >> image.height >> peak;
  file.get();
  if (!file || (kind != "P5" && kind != "P6") || peak != 255) throw std::runtime_error("expected a PPM or PGM image of 8 bits");
  image.channels = kind == "P6" ? 3 : 1;
  image.pixels.resize(image.height * image.width * image.channels);
  if (!file.read(reinterpret_cast<char*>(image.pixels.data()), image.pixels.size())) throw std::runtime_error("the image is cut short");
  return image;
}

int run(const char* model, const char* source, const char* output, bool cuda) {
  Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "translate");
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(0);  // as many as there are cores; in a container with a quota, name the quota
  if (cuda) {
    Ort::CUDAProviderOptions provider;
    provider.Update({{"cudnn_conv_algo_search", "HEURISTIC"}, {"arena_extend_strategy", "kSameAsRequested"}});
    options.AppendExecutionProvider_CUDA_V2(*provider);  // throws where CUDA cannot be loaded
  }
  Ort::Session session(env, std::filesystem::path(model).c_str(), options);

  Ort::AllocatorWithDefaultOptions allocator;
  Ort::ModelMetadata metadata = session.GetModelMetadata();
  Ort::AllocatedStringPtr spec = metadata.LookupCustomMetadataMapAllocated("pixlate", allocator);
  if (!spec) throw std::runtime_error("expected a model file of Pixlate's");
  std::cout << spec.get() << "\n";  // JSON: scale, channels, licence and more
  Ort::TypeInfo type = session.GetInputTypeInfo(0);
  auto input = type.GetTensorTypeAndShapeInfo();
  if (input.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8) throw std::runtime_error("expected a file that takes uint8");

  Image image = read(source);
  if (input.GetShape().at(3) != image.channels) throw std::runtime_error("the model takes another number of channels");
  const std::array<std::int64_t, 4> shape{1, image.height, image.width, image.channels};  // more images of one size: a larger first number
  Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  Ort::Value batch = Ort::Value::CreateTensor<std::uint8_t>(memory, image.pixels.data(), image.pixels.size(), shape.data(), shape.size());
  const std::array<const char*, 1> inputs{"image"}, outputs{"translated"};
  std::vector<Ort::Value> results = session.Run(Ort::RunOptions{nullptr}, inputs.data(), &batch, 1, outputs.data(), 1);

  const std::vector<std::int64_t> size = results[0].GetTensorTypeAndShapeInfo().GetShape();
  std::ofstream file(output, std::ios::binary);
  file << (size[3] == 3 ? "P6\n" : "P5\n") << size[2] << " " << size[1] << "\n255\n";
  file.write(reinterpret_cast<const char*>(results[0].GetTensorData<std::uint8_t>()), size[1] * size[2] * size[3]);
  return file.flush() ? 0 : 1;
}

int main(int count, char** words) {
  try {
    if (count < 4) throw std::runtime_error("expected: translate MODEL.onnx SOURCE.ppm OUTPUT.ppm [cpu|cuda]");
    return run(words[1], words[2], words[3], count > 4 && std::string(words[4]) == "cuda");
  } catch (const std::exception& error) {
    std::cerr << "translate: " << error.what() << "\n";
    return 2;
  }
}
