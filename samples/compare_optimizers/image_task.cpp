// SPDX-License-Identifier: MIT
// A perceptron on labelled images.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "compare_optimizers/task.hpp"
#include "support/bad_input.hpp"
#include "support/network.hpp"

namespace samples {

namespace {

constexpr std::uint32_t kValidationBatch = 500;

// AdamW's best rate on this task, where it has the whole network.
constexpr float kRestLr = 1e-2f;

class ImageTraining : public Training {
public:
    ImageTraining(const heron::Device& device, const DataSet& data, const DeviceImages& train,
                  const DeviceImages& validation, const ImageTaskSettings& settings, std::uint32_t seed)
        : network_(device, train.pixels, settings.hidden, data.classes),
          training_(device, network_, train, settings.batch, false),
          validating_(device, network_, validation, std::min(validation.count, kValidationBatch), true),
          validation_count_(validation.count) {
        network_.initialize(seed);
        const Normalization normalization{data.mean, data.deviation};
        forward_ = forward_plan(device, network_, train, training_, normalization, seed, {.name = "forward"});
        backward_ = backward_plan(device, network_, training_, {.name = "backward"});
        validate_ = forward_plan(device, network_, validation, validating_, normalization, seed,
                                 {.name = "validation"});
        for (heron::Plan* plan : {&forward_, &backward_, &validate_}) plan->allocate();
    }

    std::vector<heron::Parameter> parameters() const override { return network_.parameters(); }
    std::vector<heron::Layer> layers() const override { return network_.captured_layers(training_); }
    std::uint64_t parameter_count() const override { return network_.parameter_count(); }
    std::vector<heron::Plan*> passes() override { return {&forward_, &backward_}; }
    double loss(std::uint64_t batch) const override {
        return training_.result(batch).loss_sum / static_cast<float>(training_.batch);
    }

    Evaluation evaluate() override {
        const std::uint32_t zero = 0;
        validating_.cursor.write(std::as_bytes(std::span(&zero, 1)));
        Evaluation sum;
        for (std::uint32_t batch = 0; batch < validating_.batches; ++batch) {
            validate_.run();
            sum.loss += validating_.result(batch).loss_sum;
            sum.accuracy += validating_.result(batch).right;
        }
        return {sum.loss / validation_count_, sum.accuracy / validation_count_};
    }

private:
    Network network_;
    Passes training_;
    Passes validating_;
    std::uint32_t validation_count_;
    heron::Plan forward_, backward_, validate_;
};

LabelledImages first_images(const LabelledImages& images, std::uint32_t count) {
    LabelledImages first = images;
    first.count = std::min(count, images.count);
    first.pixels.resize(std::size_t{first.count} * images.pixels_per_image());
    first.labels.resize(first.count);
    return first;
}

std::string title(const DataSet& data, const ImageTaskSettings& settings) {
    std::string widths = std::to_string(data.train.pixels_per_image());
    for (const std::uint32_t width : settings.hidden) widths += fmt::format("-{}", width);
    return fmt::format("perceptron {}-{} on images", widths, data.classes);
}

class ImageTask : public Task {
public:
    ImageTask(const heron::Device& device, const DataSet& data, const ImageTaskSettings& settings)
        : Task("fashion_mnist", samples::title(data, settings), fmt::format("batch {}", settings.batch),
               settings.steps, kRestLr),
          device_(device),
          data_(data),
          settings_(settings),
          train_(device, data.train, "train"),
          validation_(device, first_images(data.test, settings.validation), "validation") {}

    // The perceptron's buffers are kept anyway.
    std::unique_ptr<Training> begin(std::uint32_t seed, bool) const override {
        return std::make_unique<ImageTraining>(device_, data_, train_, validation_, settings_, seed);
    }

private:
    const heron::Device& device_;
    const DataSet& data_;
    ImageTaskSettings settings_;
    DeviceImages train_;
    DeviceImages validation_;
};

}  // namespace

std::unique_ptr<Task> image_task(const heron::Device& device, const DataSet& data,
                                 const ImageTaskSettings& settings) {
    if (settings.batch > data.train.count)
        throw BadInput(
            fmt::format("--batch {}: there are only {} training images", settings.batch, data.train.count));
    return std::make_unique<ImageTask>(device, data, settings);
}

}  // namespace samples
