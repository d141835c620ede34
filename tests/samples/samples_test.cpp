// SPDX-License-Identifier: MIT
// The samples as programs: what they print, leave behind, and refuse. fashion_mnist gets a small data set
// written here.
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "heron/device.hpp"
#include "sample_program.hpp"

using namespace heron::test;

namespace {

namespace fs = std::filesystem;

class FashionMnist : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("heron_samples_test_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        write_data("data");
    }
    void TearDown() override { fs::remove_all(folder_); }

    void write_data(const std::string& name) { write_bars(folder_ / name); }

    Outcome train(const std::string& arguments, const std::string& out = "out",
                  const std::string& data = "data") const {
        return run(std::string(FASHION_MNIST_PROGRAM) + " --hidden 32,16 --batch 50 --epochs 2 --data " +
                   (folder_ / data).string() + " --out " + (folder_ / out).string() + " " + arguments);
    }

    // The file of the data set is replaced by `bytes`, and refused with a message that names it and says
    // `reason`.
    void expect_refused(const std::string& file, const Bytes& bytes, const std::string& reason) {
        write_data("bad");
        write(folder_ / "bad" / file, bytes);
        const Outcome outcome = train("", "out", "bad");
        EXPECT_EQ(outcome.code, 2) << outcome.text;
        EXPECT_NE(outcome.text.find(file), std::string::npos) << outcome.text;
        EXPECT_NE(outcome.text.find(reason), std::string::npos) << outcome.text;
    }

    fs::path folder_;
};

TEST_F(FashionMnist, LearnsAndLeavesItsFilesBehind) {
    const Outcome outcome = train("--optimizer muon,adamw,sgd");
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    for (const char* name : {"curves.svg", "curves.csv", "predictions.png", "checkpoint-muon.safetensors",
                             "checkpoint-adamw.safetensors", "checkpoint-sgd.safetensors"})
        EXPECT_GT(fs::file_size(folder_ / "out" / name), 100u) << name;
    const auto accuracies = lines_with(outcome.text, "test accuracy");
    double best = 0;
    for (const std::string& line : accuracies) {
        const std::size_t at = line.find("accuracy ");
        if (at != std::string::npos) best = std::max(best, std::atof(line.c_str() + at + 9));
    }
    EXPECT_GT(best, 95) << outcome.text;
    // 24 steps and 3 evaluations a run, and the head.
    EXPECT_EQ(lines_with(text_of(folder_ / "out" / "curves.csv"), "").size(), 3u * (24 + 3) + 1);
}

TEST_F(FashionMnist, SameSeedGivesSameWeights) {
    const auto first = lines_with(train("").text, "weights ");
    const auto second = lines_with(train("").text, "weights ");
    const auto other = lines_with(train("--seed 2").text, "weights ");
    ASSERT_EQ(first.size(), 2u);
    EXPECT_EQ(first, second);
    ASSERT_EQ(other.size(), 2u);
    EXPECT_NE(first[0], other[0]);
    EXPECT_NE(first[0], first[1]);
}

TEST_F(FashionMnist, ResumedRunEqualsUninterruptedOne) {
    for (const std::string optimizer : {"muon", "adamw", "sgd"}) {
        const std::string choice = "--optimizer " + optimizer;
        const auto whole = lines_with(train(choice).text, "weights ");
        ASSERT_EQ(whole.size(), 1u);
        const Outcome begun = train(choice + " --stop-after 1", "begun");
        ASSERT_EQ(begun.code, 0) << begun.text;
        const std::string resume =
            " --resume " + (folder_ / "begun" / ("checkpoint-" + optimizer + ".safetensors")).string();
        const Outcome resumed = train(choice + resume, "resumed");
        ASSERT_EQ(resumed.code, 0) << resumed.text;
        EXPECT_EQ(lines_with(resumed.text, "weights "), whole) << optimizer;
        EXPECT_NE(lines_with(begun.text, "weights "), whole) << optimizer;
    }
}

TEST_F(FashionMnist, TrainsForAnyNumberOfSteps) {
    const auto test_losses = [](const Outcome& outcome) {
        std::vector<std::string> losses;
        for (const std::string& line : lines_with(outcome.text, "test loss "))
            if (const std::size_t at = line.find("test loss ") + 10; at + 6 < line.size())
                losses.push_back(line.substr(at, 6));
        return losses;
    };
    for (const auto& [batch, epochs] : {std::pair(610, 1), std::pair(305, 1), std::pair(610, 3)}) {
        const Outcome outcome = train("--optimizer muon --batch " + std::to_string(batch) + " --epochs " +
                                      std::to_string(epochs));
        ASSERT_EQ(outcome.code, 0) << outcome.text;
        const std::string steps = ", " + std::to_string(610 / batch * epochs) + " steps in";
        EXPECT_EQ(lines_with(outcome.text, steps).size(), 1u) << outcome.text;
        const auto losses = test_losses(outcome);
        ASSERT_GE(losses.size(), 2u) << outcome.text;
        EXPECT_NE(losses.front(), losses[static_cast<std::size_t>(epochs)]) << outcome.text;
    }
}

TEST_F(FashionMnist, TellsItsProgressWhereThereIsNoTerminal) {
    const Outcome outcome = train("--optimizer sgd");
    const auto lines = lines_with(outcome.text, "images/s");
    EXPECT_GE(lines.size(), 2u) << outcome.text;  // at the least with each epoch
    EXPECT_LE(lines.size(), 10u) << outcome.text;
    for (const std::string& line : lines)
        for (const char* part : {"epoch ", "step ", "/24", "loss ", " left"})
            EXPECT_NE(line.find(part), std::string::npos) << line;
    EXPECT_EQ(outcome.text.find('\r'), std::string::npos);
}

TEST_F(FashionMnist, MeasuresTheGpuTimeOfEveryStep) {
    const Outcome outcome = train("--optimizer sgd");
    const auto lines = lines_with(outcome.text, "GPU time");
    ASSERT_EQ(lines.size(), 1u) << outcome.text;
    EXPECT_TRUE(lines[0].find("of 24 steps") != std::string::npos ||
                lines[0].find("no timestamps") != std::string::npos)
        << lines[0];
}

// Lines of curves.csv without the last column, the seconds.
std::vector<std::string> curve_of(const fs::path& folder) {
    std::vector<std::string> lines = lines_with(text_of(folder / "curves.csv"), ",");
    for (std::string& line : lines) line.resize(line.rfind(','));
    return lines;
}

TEST_F(FashionMnist, ResumedRunContinuesTheCurves) {
    ASSERT_EQ(train("--optimizer sgd", "whole").code, 0);
    ASSERT_EQ(train("--optimizer sgd --stop-after 1").code, 0);
    const std::string resume =
        "--optimizer sgd --resume " + (folder_ / "out" / "checkpoint-sgd.safetensors").string();
    fs::copy(folder_ / "out", folder_ / "copy");
    const Outcome resumed = train(resume);
    ASSERT_EQ(resumed.code, 0) << resumed.text;
    EXPECT_EQ(resumed.text.find("the curves begin here"), std::string::npos) << resumed.text;
    const auto whole = curve_of(folder_ / "whole");
    EXPECT_EQ(whole.size(), 1u + 24 + 3);
    EXPECT_EQ(curve_of(folder_ / "out"), whole);

    // The file of another run is not continued.
    ASSERT_EQ(train("--optimizer sgd --seed 3 --stop-after 1", "other").code, 0);
    fs::copy_file(folder_ / "other" / "curves.csv", folder_ / "copy" / "curves.csv",
                  fs::copy_options::overwrite_existing);
    const Outcome apart = train(
        "--optimizer sgd --resume " + (folder_ / "copy" / "checkpoint-sgd.safetensors").string(), "apart");
    ASSERT_EQ(apart.code, 0) << apart.text;
    EXPECT_NE(apart.text.find("the curves begin here"), std::string::npos) << apart.text;
    EXPECT_EQ(curve_of(folder_ / "apart").size(), 1u + 12 + 2);
}

TEST_F(FashionMnist, ResumedRunKeepsTheCurvesOfOtherOptimizers) {
    ASSERT_EQ(train("--optimizer sgd,adamw --lr sgd=0.05 --stop-after 1").code, 0);
    const auto of = [this](const std::string& name) {
        return lines_with(text_of(folder_ / "out" / "curves.csv"), name + ",");
    };
    const auto begun = of("sgd"), other = of("adamw");
    ASSERT_EQ(other.size(), 12u + 2);
    const Outcome resumed =
        train("--optimizer sgd --resume " + (folder_ / "out" / "checkpoint-sgd.safetensors").string());
    ASSERT_EQ(resumed.code, 0) << resumed.text;
    EXPECT_EQ(of("adamw"), other);
    EXPECT_EQ(of("sgd").size(), 24u + 3);
    EXPECT_EQ(curve_of(folder_ / "out").size(), 1u + 24 + 3 + 12 + 2);
    const std::string picture = text_of(folder_ / "out" / "curves.svg");
    for (const char* label : {">sgd (lr 0.05): ", ">adamw: "})
        EXPECT_NE(picture.find(label), std::string::npos) << label;
    // A run from the beginning begins the file anew.
    ASSERT_EQ(train("--optimizer sgd --stop-after 1").code, 0);
    EXPECT_EQ(of("sgd").size(), begun.size());
    EXPECT_TRUE(of("adamw").empty());
}

// Every line of the samples' table makes an optimizer that takes steps.
TEST_F(FashionMnist, TrainsWithEveryOptimizer) {
    std::string names;
    for (const std::string& line : lines_with(train("--help").text, "(lr "))
        names += (names.empty() ? "" : ",") + line.substr(2, line.find(' ', 2) - 2);
    EXPECT_GE(std::ranges::count(names, ','), 40);
    const Outcome outcome = train("--epochs 1 --batch 200 --optimizer " + names);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    std::istringstream all(names);
    for (std::string name; std::getline(all, name, ',');)
        EXPECT_FALSE(lines_with(text_of(folder_ / "out" / "curves.csv"), name + ",").empty()) << name;
}

// MKOR-H hears of the losses at the end of each epoch, and is MKOR until they fall too slowly.
TEST_F(FashionMnist, MkorHEndsItsSecondOrderByTheLosses) {
    for (const bool long_enough : {false, true}) {
        const Outcome outcome =
            train("--optimizer mkor,mkor_h --batch 20 --epochs " + std::string(long_enough ? "10" : "1"));
        const auto weights = lines_with(outcome.text, "weights ");
        ASSERT_EQ(weights.size(), 2u) << outcome.text;
        EXPECT_EQ(weights[0] != weights[1], long_enough) << outcome.text;
    }
}

// Layers whose optimizers read what the passes leave behind, with convolutions among them.
TEST_F(FashionMnist, LearnsConvolutionsFromCaptures) {
    const Outcome outcome = train("--filters 4,8 --optimizer kfac,mkor,singd");
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_NE(outcome.text.find("-conv4-conv8-32-16-3"), std::string::npos) << outcome.text;
    for (const std::string name : {"kfac", "mkor", "singd"}) {
        // run,epoch,step,,,test_loss,...: before the first step, and after each of two epochs
        std::vector<double> losses;
        for (const std::string& line : lines_with(text_of(folder_ / "out" / "curves.csv"), name + ","))
            if (const std::size_t at = line.find(",,,"); at + 3 < line.size())
                losses.push_back(std::stod(line.substr(at + 3)));
        ASSERT_EQ(losses.size(), 3u) << name << "\n" << outcome.text;
        // The network begins by guessing: log 3.
        EXPECT_LT(losses.back(), 0.8 * losses.front()) << name << "\n" << outcome.text;
    }
}

// A resumption that is refused leaves the curves alone.
TEST_F(FashionMnist, RefusedResumptionKeepsTheCurves) {
    ASSERT_EQ(train("--optimizer sgd --stop-after 1").code, 0);
    const auto before = curve_of(folder_ / "out");
    EXPECT_EQ(train("--optimizer sgd --seed 3 --resume " +
                    (folder_ / "out" / "checkpoint-sgd.safetensors").string())
                  .code,
              2);
    EXPECT_EQ(curve_of(folder_ / "out"), before);
}

TEST_F(FashionMnist, ResumedRunTakesAGivenLearningRate) {
    const Outcome begun = train("--stop-after 1 --optimizer muon --lr muon=0.03");
    ASSERT_EQ(begun.code, 0) << begun.text;
    const std::string resume =
        "--optimizer muon --resume " + (folder_ / "out" / "checkpoint-muon.safetensors").string();
    const Outcome kept = train(resume, "kept");
    const Outcome same = train(resume + " --lr muon=0.03", "same");
    const Outcome changed = train(resume + " --lr muon=0.01", "changed");
    const Outcome still = train(resume + " --lr muon=0", "still");
    EXPECT_NE(kept.text.find("lr 0.03 as in the checkpoint"), std::string::npos) << kept.text;
    EXPECT_NE(changed.text.find("lr 0.01 instead of the checkpoint's 0.03"), std::string::npos)
        << changed.text;
    const auto weights = [](const Outcome& outcome) { return lines_with(outcome.text, "weights "); };
    ASSERT_EQ(weights(kept).size(), 1u);
    EXPECT_EQ(weights(same), weights(kept));
    EXPECT_NE(weights(changed), weights(kept));
    EXPECT_NE(weights(still), weights(changed));
    // What is said of the run itself.
    EXPECT_EQ(lines_with(kept.text, "muon           0.03").size(), 1u) << kept.text;
    EXPECT_EQ(lines_with(changed.text, "muon           0.01").size(), 1u) << changed.text;
}

TEST_F(FashionMnist, FailsWhereTheTrainingDiverges) {
    const Outcome outcome = train("--optimizer sgd,adamw --lr sgd=1e30");
    EXPECT_EQ(outcome.code, 1) << outcome.text;
    const auto lines = lines_with(outcome.text, "fashion_mnist: ");
    ASSERT_EQ(lines.size(), 1u) << outcome.text;
    for (const char* part : {"sgd: ", "diverged", "lower learning rate", "--lr sgd="})
        EXPECT_NE(lines[0].find(part), std::string::npos) << lines[0];
}

TEST_F(FashionMnist, ReadsGzippedFilesAlike) {
    const auto plain = lines_with(train("").text, "weights ");
    for (const auto& entry : fs::directory_iterator(folder_ / "data")) {
        const std::string content = text_of(entry.path());
        gzFile out = gzopen((entry.path().string() + ".gz").c_str(), "wb");
        gzwrite(out, content.data(), static_cast<unsigned>(content.size()));
        gzclose(out);
        fs::remove(entry.path());
    }
    const Outcome packed = train("");
    EXPECT_EQ(lines_with(packed.text, "weights "), plain) << packed.text;
}

TEST_F(FashionMnist, RefusesBadData) {
    const Images train_images(kTrain, 1), test_images(kTest, 2);
    const std::string file = "train-images-idx3-ubyte";
    Bytes good = idx({kTrain, 9, 7}, train_images.pixels);
    Bytes bytes = good;
    bytes.pop_back();
    expect_refused(file, bytes, "too short");
    bytes = good;
    bytes.push_back(0);
    expect_refused(file, bytes, "longer");
    bytes = good;
    bytes[0] = 1;
    expect_refused(file, bytes, "no IDX file");
    bytes = good;
    bytes[2] = 13;
    expect_refused(file, bytes, "type 13");
    bytes = good;
    bytes[3] = 2;
    expect_refused(file, bytes, "axes");
    expect_refused(file, {0, 0}, "too short");
    expect_refused(file, {}, "too short");
    expect_refused(file, idx({0, 9, 7}, {}), "empty");
    expect_refused(file, idx({0xffffffff, 4096, 4096}, {}), "4 GiB");
    expect_refused(file, idx({kTrain, 9, 70000}, {}), "4096");
    expect_refused("train-labels-idx1-ubyte", idx({kTrain - 1}, Bytes(kTrain - 1, 0)), "labels for");
    expect_refused("t10k-labels-idx1-ubyte", idx({kTest}, Bytes(kTest, 7)), "label 7");
    EXPECT_EQ(train("", "out", "nowhere").code, 2);
}

// Of what a kernel takes from the whole data set, one batch.
TEST_F(FashionMnist, DescribesTheTrafficOfABatch) {
    const Outcome outcome = train("--optimizer sgd --describe");
    const auto expect = [&outcome](const std::string& kernel, const std::string& bytes) {
        const auto lines = lines_with(outcome.text, kernel + " x 1 job,");
        ASSERT_EQ(lines.size(), 1u) << kernel << "\n" << outcome.text;
        EXPECT_NE(lines[0].find(", " + bytes + ","), std::string::npos) << lines[0];
    };
    expect("sample_rows", "604 B");    // 50 labels read, 50 indices and labels written, the cursor
    expect("gather", "15.9 kB");       // 50 x 63 pixels as bytes and as floats, 50 indices
    expect("softmax_loss", "1.8 kB");  // 50 x 3 logits and gradients, labels, two results
    expect("finish_batch", "412 B");   // 50 x 2 results, two sums, the cursor
}

TEST_F(FashionMnist, RefusesBadArguments) {
    for (const std::string arguments :
         {"--optimizer nonsense", "--optimizer muon,muon", "--lr muon", "--lr muon=x", "--lr muon=-1",
          "--lr nonsense=1", "--lr adamw=0.1 --optimizer muon", "--batch 0", "--batch 1000", "--epochs 0",
          "--hidden 0", "--hidden 8,x", "--seed -1", "--device nonsense", "--resume nowhere",
          "--resume nowhere --optimizer muon", "--nonsense", "--out /dev/null/x"}) {
        const Outcome outcome = train(arguments);
        EXPECT_EQ(outcome.code, 2) << arguments << "\n" << outcome.text;
        EXPECT_FALSE(outcome.text.empty()) << arguments;
    }
}

TEST_F(FashionMnist, SaysTheRangeOfANumber) {
    for (const std::string seed : {"99999999999", "4294967296", "-1", "x"}) {
        const Outcome outcome = train("--seed " + seed);
        EXPECT_EQ(outcome.code, 2) << outcome.text;
        EXPECT_EQ(lines_with(outcome.text, "not in range").size(), 1u) << outcome.text;
        EXPECT_NE(outcome.text.find("4294967295"), std::string::npos) << outcome.text;
    }
}

TEST_F(FashionMnist, RefusesACheckpointOfAnotherRun) {
    ASSERT_EQ(train("--stop-after 1 --optimizer muon").code, 0);
    const std::string file = (folder_ / "out" / "checkpoint-muon.safetensors").string();
    // Without train(), which gives --hidden, too.
    const std::string common = std::string(FASHION_MNIST_PROGRAM) + " --batch 50 --epochs 2 --data " +
                               (folder_ / "data").string() + " --out " + (folder_ / "out2").string() +
                               " --resume " + file;
    for (const char* change :
         {" --hidden 32,16 --optimizer adamw", " --hidden 32,16 --optimizer muon --seed 7",
          " --hidden 32 --optimizer muon"}) {
        const Outcome outcome = run(common + change);
        EXPECT_EQ(outcome.code, 2) << outcome.text;
        EXPECT_NE(outcome.text.find("was made with"), std::string::npos) << outcome.text;
    }
}

TEST_F(FashionMnist, HelpListsDevicesAndOptimizers) {
    const Outcome outcome = train("--help");
    EXPECT_EQ(outcome.code, 0);
    for (const char* word :
         {"--seed", "--epochs", "--hidden", "--batch", "--out", "muon", "adamw", "Devices", "uuid"})
        EXPECT_NE(outcome.text.find(word), std::string::npos) << word;
}

const std::string kRunScript = std::string(HERON_SOURCE_DIR) + "/samples/run.sh";

// Before anything is built, the script's help has the options of the sample that it runs.
TEST(RunScript, HelpNeedsNoBuild) {
    const fs::path nowhere = fs::temp_directory_path() / ("heron_run_script_" + std::to_string(getpid()));
    const Outcome script = run(kRunScript + " --help --build-dir " + nowhere.string());
    EXPECT_EQ(script.code, 0) << script.text;
    EXPECT_FALSE(fs::exists(nowhere));
    EXPECT_NE(script.text.find("samples/run.sh --list-devices"), std::string::npos) << script.text;
    const std::string program = run(std::string(FASHION_MNIST_PROGRAM) + " --help").text;
    std::istringstream words(program);
    std::size_t options = 0;
    for (std::string word; words >> word;)
        if (word.starts_with("--")) {
            EXPECT_NE(script.text.find("  " + word + " "), std::string::npos) << word << "\n" << script.text;
            ++options;
        }
    EXPECT_GE(options, 12u) << program;
    // Optimizers with their rates: "  muon     Muon for ... (lr 0.02)".
    for (const std::string& line : lines_with(program, "(lr ")) {
        const std::string name = line.substr(2, line.find(' ', 2) - 2);
        const std::size_t rate = line.find("(lr ") + 4;
        const std::string entry = name + "=" + line.substr(rate, line.find(')') - rate);
        EXPECT_NE(script.text.find(entry), std::string::npos) << entry << "\n" << script.text;
    }
    EXPECT_NE(run(kRunScript + " --help --sample device_report --build-dir " + nowhere.string())
                  .text.find("--sample device_report --build-only"),
              std::string::npos);
}

TEST(RunScript, HelpOfABuiltSampleHasTheDevices) {
    const fs::path build = fs::path(FASHION_MNIST_PROGRAM).parent_path().parent_path().parent_path();
    const Outcome script = run(kRunScript + " --help --build-dir " + build.string());
    EXPECT_EQ(script.code, 0) << script.text;
    EXPECT_NE(script.text.find("uuid"), std::string::npos) << script.text;
    const Outcome other = run(kRunScript + " --help --sample adopted_device --build-dir " + build.string());
    EXPECT_NE(other.text.find("--frames"), std::string::npos) << other.text;
}

// A build takes minutes: whoever watches sees how far it is, a log does not. With a cmake that builds
// nothing.
TEST(RunScript, ShowsTheBuildOnATerminal) {
    if (run("script -qec true /dev/null </dev/null").code != 0) GTEST_SKIP() << "script(1) makes no terminal";
    const fs::path tools = fs::temp_directory_path() / ("heron_run_script_tools_" + std::to_string(getpid()));
    fs::create_directories(tools);
    std::ofstream(tools / "cmake") << "#!/bin/sh\necho \"called with $*\"\n";
    fs::permissions(tools / "cmake", fs::perms::owner_all);
    const std::string command = "PATH=" + tools.string() + ":$PATH " + kRunScript +
                                " --sample first_step --build-only --no-install --build-dir " +
                                (tools / "build").string();
    const Outcome silent = run(command);
    const Outcome shown = run("script -qec '" + command + "' /dev/null </dev/null");
    fs::remove_all(tools);
    EXPECT_EQ(silent.code, 0) << silent.text;
    EXPECT_EQ(shown.code, 0) << shown.text;
    EXPECT_EQ(silent.text.find("called with"), std::string::npos) << silent.text;
    EXPECT_NE(shown.text.find("called with --build"), std::string::npos) << shown.text;
}

TEST(FirstStep, ShrinksTheGradient) {
    const Outcome outcome = run(FIRST_STEP_PROGRAM);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_EQ(lines_with(outcome.text, "gradient norm").size(), 10u);
}

// The README's C++, the first and the second block.
std::string shown_in_readme(int number) {
    const std::string readme = text_of(fs::path(HERON_SOURCE_DIR) / "README.md"), fence = "```cpp\n";
    std::size_t begin = 0;
    for (int i = 0; i < number; ++i) begin = readme.find(fence, begin) + fence.size();
    return readme.substr(begin, readme.find("```", begin) - begin);
}
std::string program_of(const std::string& sample) {
    return text_of(fs::path(HERON_SOURCE_DIR) / "samples" / sample / "main.cpp");
}

TEST(FirstStep, IsWhatTheReadmeShows) {
    const std::string shown = shown_in_readme(1);
    EXPECT_NE(shown.find("int main()"), std::string::npos) << shown;
    EXPECT_TRUE(program_of("first_step").ends_with(shown)) << "README shows:\n" << shown;
}

TEST(NaturalGradient, IsWhatTheReadmeShows) {
    const std::string shown = shown_in_readme(2);
    EXPECT_NE(shown.find("apply_inverse"), std::string::npos) << shown;
    EXPECT_NE(program_of("natural_gradient").find(shown), std::string::npos) << "README shows:\n" << shown;
}

// The program prints a loss in each of so many lines; the last one is below `share` of the first.
void expect_loss_falls(const char* program, std::size_t count, double share) {
    const Outcome outcome = run(program);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    const std::vector<std::string> steps = lines_with(outcome.text, "loss ");
    ASSERT_EQ(steps.size(), count) << outcome.text;
    const auto loss = [](const std::string& line) { return std::stod(line.substr(line.find("loss ") + 5)); };
    EXPECT_LT(loss(steps.back()), share * loss(steps.front())) << outcome.text;
}

TEST(GaussNewton, FitsTheCurve) { expect_loss_falls(GAUSS_NEWTON_PROGRAM, 30, 1e-3); }

TEST(NaturalGradient, LearnsWhatBadlyScaledInputsHide) {
    expect_loss_falls(NATURAL_GRADIENT_PROGRAM, 8, 1e-4);
}

TEST(Evolution, LearnsBarsWithoutDerivatives) {
    const fs::path folder = fs::temp_directory_path() / "heron_evolution_test";
    write_bars(folder);
    const Outcome outcome = run(std::string(EVOLUTION_PROGRAM) + " --data " + folder.string() +
                                " --members 64 --hidden 16 --batch 32 --steps 100 --optimizer adamw");
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    const std::vector<std::string> lines = lines_with(outcome.text, "test accuracy");
    ASSERT_EQ(lines.size(), 10u) << outcome.text;
    // A third by guessing.
    EXPECT_GT(std::stod(lines.back().substr(lines.back().find("accuracy") + 9)), 80) << outcome.text;
    EXPECT_EQ(run(std::string(EVOLUTION_PROGRAM) + " --members 3 --data " + folder.string()).code, 2);
    EXPECT_EQ(run(std::string(EVOLUTION_PROGRAM) + " --optimizer kfac --data " + folder.string()).code, 2);
    fs::remove_all(folder);
}

TEST(DeviceReport, PassesOnEveryDevice) {
    const Outcome outcome = run(DEVICE_REPORT_PROGRAM);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_NE(outcome.text.find("all checks passed"), std::string::npos) << outcome.text;
    for (const char* part : {"Vulkan headers", "glslang", "Vulkan loader", "VK_KHR_cooperative_matrix"})
        EXPECT_EQ(lines_with(outcome.text, part).size(), 1u) << part << "\n" << outcome.text;
    const std::size_t devices = lines_with(outcome.text, "workgroups ").size();
    EXPECT_GE(devices, 1u);
    for (const char* part : {"memory heap 0", "memory type 0", "budget ", "subgroup sizes offered"})
        EXPECT_GE(lines_with(outcome.text, part).size(), devices) << part << "\n" << outcome.text;
    for (const std::string check : {"gemm", "polar 24 x 40", "polar 150 x 70", "AdamW", "Muon 33 x 20"})
        for (const char* dtype : {"", " f16", " bf16"})
            EXPECT_EQ(lines_with(outcome.text, "    " + check + dtype + ",").size(), devices)
                << check << dtype << "\n"
                << outcome.text;
}

void expect_no_such_device(const std::string& command, const std::string& choice) {
    const Outcome outcome = run(command + " --device " + choice);
    EXPECT_EQ(outcome.code, 2) << command << "\n" << outcome.text;
    EXPECT_NE(outcome.text.find("--device " + choice + ": no Vulkan device matches"), std::string::npos)
        << outcome.text;
}

// fashion_mnist, too: FashionMnist.RefusesBadArguments.
TEST(Samples, ChooseTheirDeviceAlike) {
    auto devices = heron::Device::list();
    std::erase_if(devices, [](const heron::DeviceInfo& info) { return !info.usable; });
    ASSERT_FALSE(devices.empty());
    const heron::DeviceInfo& last = devices.back();
    for (const std::string& program : {std::string(ADOPTED_DEVICE_PROGRAM) + " --frames 1",
                                       std::string(DEVICE_REPORT_PROGRAM) + " --no-test"}) {
        for (const std::string& choice : {std::to_string(last.index), last.uuid_text(), last.name}) {
            const Outcome outcome =
                run(std::string(program).append(" --device '").append(choice).append("'"));
            EXPECT_EQ(outcome.code, 0) << outcome.text;
            EXPECT_NE(outcome.text.find(last.name), std::string::npos) << outcome.text;
        }
        for (const std::string choice : {"nonsense", "999999"}) expect_no_such_device(program, choice);
    }
}

TEST(AdoptedDevice, LearnsInWholeStepsAndInSlicesAlike) {
    const std::string program = std::string(ADOPTED_DEVICE_PROGRAM) + " --frames 40";
    const Outcome whole = run(program);
    EXPECT_EQ(whole.code, 0) << whole.text;
    const Outcome sliced = run(program + " --slice 2");
    EXPECT_EQ(sliced.code, 0) << sliced.text;
    const auto result = [](const Outcome& outcome) {
        const auto lines = lines_with(outcome.text, "mean squared error");
        return lines.empty() ? std::string("none") : lines[0].substr(lines[0].find("steps"));
    };
    EXPECT_EQ(result(whole), result(sliced));
}

TEST(AdoptedDevice, TakesAnyNumberOfFrames) {
    const std::string program = std::string(ADOPTED_DEVICE_PROGRAM) + " --frames ";
    for (const int frames : {1, 20}) {
        const Outcome outcome = run(program + std::to_string(frames));
        EXPECT_EQ(outcome.code, 0) << outcome.text;
        const std::string steps = std::to_string(frames) + " frames, " + std::to_string(frames) + " steps";
        EXPECT_EQ(lines_with(outcome.text, steps).size(), 1u) << outcome.text;
    }
    const Outcome none = run(program + "0");
    EXPECT_EQ(none.code, 2) << none.text;
    EXPECT_EQ(none.text.find("Engine:"), std::string::npos) << none.text;
}

}  // namespace
