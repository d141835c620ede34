// SPDX-License-Identifier: MIT
// A transformer that predicts the next character.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "compare_optimizers/task.hpp"
#include "compare_optimizers/transformer.hpp"

namespace samples {

namespace {

constexpr std::uint32_t kValidationSequences = 32;  // a batch

// AdamW's best rate on this task, where it has the whole network.
constexpr float kRestLr = 2e-2f;

class TextTraining : public Training {
public:
    TextTraining(const heron::Device& device, const DeviceText& train, const DeviceText& validation,
                 const TransformerShape& shape, const TextTaskSettings& settings, std::uint32_t seed,
                 bool keep_captures)
        : network_(device, shape),
          training_(device, shape, settings.sequences, keep_captures),
          windows_(std::min(settings.validation, (validation.length - 1) / shape.context)),
          validating_(device, shape, std::min(windows_, kValidationSequences)) {
        network_.initialize(seed);
        train_ = transformer_training_plan(device, network_, train, training_, seed, {.name = "network"});
        validate_ =
            transformer_evaluation_plan(device, network_, validation, validating_, {.name = "validation"});
        for (heron::Plan* plan : {&train_, &validate_}) plan->allocate();
    }

    std::vector<heron::Parameter> parameters() const override { return network_.parameters(); }
    std::vector<heron::Layer> layers() const override { return network_.captured_layers(training_); }
    std::uint64_t parameter_count() const override { return network_.parameter_count(); }
    std::vector<heron::Plan*> passes() override { return {&train_}; }
    double loss(std::uint64_t batch) const override {
        return training_.result(batch).loss_sum / static_cast<float>(training_.rows);
    }

    Evaluation evaluate() override {
        const std::uint32_t zero = 0;
        validating_.cursor.write(std::as_bytes(std::span(&zero, 1)));
        Evaluation sum;
        // Whole batches: of the windows left over none is taken.
        const std::uint32_t batches = windows_ / validating_.sequences;
        for (std::uint32_t batch = 0; batch < batches; ++batch) {
            validate_.run();
            sum.loss += validating_.result(batch).loss_sum;
            sum.accuracy += validating_.result(batch).right;
        }
        const double count = static_cast<double>(batches) * validating_.rows;
        return {sum.loss / count, sum.accuracy / count};
    }

private:
    Transformer network_;
    TextPasses training_;
    std::uint32_t windows_;
    TextPasses validating_;
    heron::Plan train_, validate_;
};

TransformerShape shape_of(const Corpus& corpus, const TextTaskSettings& settings) {
    return {.vocabulary = corpus.vocabulary,
            .context = settings.context,
            .width = settings.width,
            .heads = settings.heads,
            .blocks = settings.blocks};
}

class TextTask : public Task {
public:
    TextTask(const heron::Device& device, const Corpus& corpus, const TextTaskSettings& settings)
        : Task(
              "text", "transformer on characters of " + corpus.source,
              fmt::format("{} blocks of width {}, {} heads, context {}, {} sequences a step", settings.blocks,
                          settings.width, settings.heads, settings.context, settings.sequences),
              settings.steps, kRestLr),
          device_(device),
          settings_(settings),
          shape_(shape_of(corpus, settings)),
          train_(device, corpus.train, "train"),
          validation_(device, corpus.validation, "validation") {}

    std::unique_ptr<Training> begin(std::uint32_t seed, bool keep_captures) const override {
        return std::make_unique<TextTraining>(device_, train_, validation_, shape_, settings_, seed,
                                              keep_captures);
    }

private:
    const heron::Device& device_;
    TextTaskSettings settings_;
    TransformerShape shape_;
    DeviceText train_;
    DeviceText validation_;
};

}  // namespace

std::unique_ptr<Task> text_task(const heron::Device& device, const Corpus& corpus,
                                const TextTaskSettings& settings) {
    return std::make_unique<TextTask>(device, corpus, settings);
}

}  // namespace samples
