// SPDX-License-Identifier: MIT
// A multi-layer perceptron with ReLU and softmax cross entropy, after convolutions where it has some; its
// forward and backward passes are Heron plans.
//
//   X_0 = images;  X_l = relu(X_(l-1) W_l^T + b_l);  logits = X_(L-1) W_L^T + b_L
//
// Matrices are row-major; W_l is outputs x inputs. Of a convolution the rows of X are images, channel by
// channel. Everything is f32.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/dataset.hpp"
#include "support/layers.hpp"

namespace samples {

struct Layer {
    std::string name;  // conv1, ..., fc1, fc2, ..., head
    std::uint32_t inputs = 0;
    std::uint32_t outputs = 0;
    std::optional<Convolution> convolution;
    heron::Buffer weight, bias, weight_gradient, bias_gradient;

    std::uint32_t rows() const { return convolution ? convolution->filters : outputs; }  // of W
    std::uint32_t cols() const { return convolution ? convolution->patch() : inputs; }
    heron::TensorView view(const heron::Buffer& buffer) const {
        if (&buffer == &bias || &buffer == &bias_gradient) return buffer.view(heron::DType::f32, {rows()});
        if (!convolution) return buffer.view(heron::DType::f32, {rows(), cols()});
        return buffer.view(heron::DType::f32,
                           {rows(), convolution->channels, convolution->kernel, convolution->kernel});
    }
};

struct Activations;

// Convolutions of 3 x 3 with a stride of 2, before the hidden layers.
struct ConvolutionSizes {
    std::uint32_t height = 0, width = 0;  // of the images, which have one channel
    std::vector<std::uint32_t> filters;   // of each
};

struct Network {
    std::vector<Layer> layers;

    Network(const heron::Device& device, std::uint32_t inputs, const std::vector<std::uint32_t>& hidden,
            std::uint32_t classes, const ConvolutionSizes& convolutions = {});
    // Weights uniform with variance 2 / inputs (He et al. 2015), the head's with 1 / inputs; biases zero.
    void initialize(std::uint32_t seed);
    std::vector<heron::Parameter> parameters() const;
    // The layers with what training passes leave: their inputs, and the gradients of their outputs.
    std::vector<heron::Layer> captured_layers(const Activations& passes) const;
    std::uint64_t parameter_count() const;
    // Of all weights and biases (FNV-1a, 64 bits): equal hashes, equal bits.
    std::uint64_t hash() const;
};

// Labelled images in device memory.
struct DeviceImages {
    std::uint32_t count = 0;
    std::uint32_t pixels = 0;  // per image
    heron::Buffer images;      // bytes
    heron::Buffer labels;      // one word each

    DeviceImages(const heron::Device& device, const LabelledImages& source, const std::string& name);
};

// What passes leave of each layer: `batch` rows.
struct Activations {
    std::uint32_t batch = 0;
    std::vector<heron::Buffer> activations;  // X_0 ... X_(L-1), logits
    std::vector<heron::Buffer> gradients;    // of the same without X_0; only when training
    heron::Buffer input_gradient;            // of X_0, where it is wanted

    void create_layers(const heron::Device& device, const Network& network, std::uint32_t rows,
                       bool with_gradients);
};

// The same in a graph, with the parameters.
struct NetworkTensors {
    std::vector<heron::Tensor> weights, biases;  // of each layer
    std::vector<heron::Tensor> activations;      // X_0 ... X_(L-1), logits
    std::vector<heron::Tensor> gradients;
    heron::Tensor input_gradient;

    NetworkTensors(heron::Graph& graph, const Network& network, const Activations& passes);
};

// From X_0 to the logits.
void add_forward(heron::Graph& graph, const Network& network, const NetworkTensors& tensors);
// From the gradient of the logits to the gradients of all weights and biases, and of X_0 where it is wanted.
// Every layer is a stage of its own.
void add_backward(heron::Graph& graph, const Network& network, const NetworkTensors& tensors);

// What the passes over a set of images share: a cursor that the GPU advances by one batch a pass, results for
// the host, and the activations that the backward pass needs.
struct Passes : Activations {
    std::uint32_t batches = 0;  // per epoch
    heron::Buffer cursor;       // [0]: batches taken
    // Mapped; per batch, modulo kHistory: sum of losses, number of right predictions.
    heron::Buffer history;
    heron::Buffer predictions;  // mapped; per image; only when evaluating
    heron::Buffer row_index, row_label, row_result;

    // Training takes whole batches (of the images left over, others are left over in the next epoch),
    // evaluation all images.
    Passes(const heron::Device& device, const Network& network, const DeviceImages& images,
           std::uint32_t batch, bool evaluate);
    bool evaluate() const { return static_cast<bool>(predictions); }

    struct Result {
        float loss_sum;
        float right;
    };
    Result result(std::uint64_t batch_number) const {
        return static_cast<const Result*>(history.mapped())[batch_number % kHistory];
    }
};

// Pixels are normalized to mean 0 and deviation 1.
struct Normalization {
    float mean;
    float deviation;
};

// One batch: fetches images, computes losses, their gradient with respect to the logits (training) or
// predictions (evaluation), and advances the cursor.
heron::Plan forward_plan(const heron::Device& device, const Network& network, const DeviceImages& images,
                         const Passes& passes, const Normalization& normalization, std::uint32_t seed,
                         const heron::PlanOptions& options);
// From the gradient of the logits to the gradients of all weights and biases.
heron::Plan backward_plan(const heron::Device& device, const Network& network, const Passes& passes,
                          const heron::PlanOptions& options);

}  // namespace samples
