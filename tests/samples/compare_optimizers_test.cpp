// SPDX-License-Identifier: MIT
// compare_optimizers as a program: what it prints, leaves behind, and refuses. Small networks, few steps.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "sample_program.hpp"

namespace heron::test {
namespace {

namespace fs = std::filesystem;

class CompareOptimizers : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("heron_compare_test_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        fs::create_directories(folder_);
        write_bars(folder_ / "data");
        // A text that can be learned quickly: each character has one successor, but for the spaces.
        std::ofstream text(folder_ / "text.txt");
        for (int i = 0; i < 400; ++i) text << (i * i % 3 == 0 ? "heron " : "fish ");
    }
    void TearDown() override { fs::remove_all(folder_); }

    Outcome compare(const std::string& arguments) const {
        return run(
            std::string(COMPARE_OPTIMIZERS_PROGRAM) + " --data " + (folder_ / "data").string() + " --text " +
            (folder_ / "text.txt").string() + " --out " + (folder_ / "out").string() +
            " --hidden 16 --batch 50 --context 8 --width 8 --heads 2 --blocks 1 --sequences 8 --steps 20" +
            " --seeds 1 " + arguments);
    }

    fs::path folder_;
};

struct Run {
    std::vector<double> losses;
    std::vector<double> validations;
    bool tuned = false;
};

// By task, optimizer, rate and seed.
std::map<std::string, Run> runs_of(const fs::path& file) {
    std::map<std::string, Run> runs;
    std::istringstream lines(text_of(file));
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line,
              "task,optimizer,lr,seed,tuned,step,seconds,train_loss,validation_loss,validation_accuracy");
    while (std::getline(lines, line)) {
        std::vector<std::string> fields;
        std::istringstream stream(line + ",");
        for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
        EXPECT_EQ(fields.size(), 10u) << line;
        if (fields.size() != 10) continue;
        Run& run = runs[fields[0] + " " + fields[1] + " " + fields[2] + " " + fields[3]];
        run.tuned = fields[4] == "1";
        if (!fields[7].empty()) run.losses.push_back(std::stod(fields[7]));
        if (!fields[8].empty()) run.validations.push_back(std::stod(fields[8]));
    }
    return runs;
}

TEST_F(CompareOptimizers, TunesRatesAndLeavesTablesCurvesAndFigures) {
    const Outcome outcome = compare("--optimizers muon,adamw,sgd --seeds 2 --factors 0.5,1");
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    const std::string page = text_of(folder_ / "out" / "comparison.md");
    const auto runs = runs_of(folder_ / "out" / "comparison.csv");
    for (const std::string task : {"fashion_mnist", "text"}) {
        const std::string picture = text_of(folder_ / "out" / "images" / ("compare-" + task + ".svg"));
        EXPECT_NE(page.find("images/compare-" + task + ".svg"), std::string::npos);
        for (const std::string optimizer : {"muon", "adamw", "sgd"}) {
            EXPECT_NE(picture.find(">" + optimizer + ": "), std::string::npos) << picture;
            std::size_t all = 0, tuned = 0;
            for (const auto& [name, run] : runs) {
                if (!name.starts_with(task + " " + optimizer + " ")) continue;
                ++all;
                tuned += run.tuned;
                EXPECT_LE(run.losses.size(), 20u) << name;  // fewer where it diverged
                if (run.tuned) {
                    EXPECT_EQ(run.losses.size(), 20u) << name;
                    EXPECT_EQ(run.validations.size(), 17u) << name;
                    EXPECT_LT(run.losses.back(), 0.9 * run.losses.front()) << name;
                    EXPECT_LT(run.validations.back(), 0.9 * run.validations.front()) << name;
                }
            }
            EXPECT_EQ(tuned, 2u) << task << " " << optimizer;  // as many as seeds
            // Two rates and one to eight beyond the grid's end; two of them or more with a second seed.
            EXPECT_GE(all, 5u);
            EXPECT_LE(all, 20u);
        }
        EXPECT_EQ(lines_with(outcome.text, task + ": ").size(), 2u) << outcome.text;
    }
    // Two tables with three rows each, on the terminal and on the page.
    for (const std::string optimizer : {"muon ", "adamw ", "sgd "}) {
        EXPECT_EQ(lines_with(page, "| " + optimizer).size(), 3u) << page;  // and the table of all tasks
        std::size_t rows = 0;
        for (const std::string& line : lines_with(outcome.text, optimizer))
            rows += line.starts_with(optimizer);
        EXPECT_EQ(rows, 2u) << outcome.text;
    }
    // Both tasks in one table: whose state it is stands there.
    EXPECT_EQ(lines_with(page, " | fashion_mnist: state B/parameter |").size(), 1u) << page;
    EXPECT_EQ(lines_with(outcome.text, "Lowest validation loss: ").size(), 2u) << outcome.text;
    EXPECT_GE(lines_with(outcome.text, " left").size(), 6u) << outcome.text;
}

TEST_F(CompareOptimizers, TakesGivenRatesAndTargetsAndRepeatsItself) {
    const std::string arguments = "--tasks text --optimizers sgd --lr sgd=0.2 --seed 3 ";
    const Outcome outcome = compare(arguments + "--target text=100");
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    const auto first = runs_of(folder_ / "out" / "comparison.csv");
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first.begin()->first, "text sgd 0.2 3");
    EXPECT_EQ(lines_with(outcome.text, "a validation loss of 100.0000 (as given)").size(), 1u)
        << outcome.text;
    EXPECT_EQ(lines_with(outcome.text, "Fewest steps to the target: sgd (0)").size(), 1u) << outcome.text;
    ASSERT_EQ(compare(arguments).code, 0);
    const auto second = runs_of(folder_ / "out" / "comparison.csv");
    EXPECT_EQ(second.begin()->second.losses, first.begin()->second.losses);
    EXPECT_EQ(second.begin()->second.validations, first.begin()->second.validations);
    ASSERT_EQ(compare(arguments + "--seed 4").code, 0);
    EXPECT_NE(runs_of(folder_ / "out" / "comparison.csv").begin()->second.losses,
              first.begin()->second.losses);
}

// A comparison that was cut off: what its journal has is not run again, and the end is the same.
TEST_F(CompareOptimizers, GoesOnWhereItWasCutOff) {
    const std::string arguments = "--tasks text --optimizer sgd,adamw --lr sgd=0.2,adamw=0.01 --seeds 2 ";
    ASSERT_EQ(compare(arguments).code, 0);
    const fs::path journal = folder_ / "out" / "comparison.runs";
    const std::string whole = text_of(folder_ / "out" / "comparison.csv"), lines = text_of(journal);
    // Three of four trials, the third one not to its end.
    std::size_t third = lines.find("\ntrial");
    for (int i = 0; i < 2; ++i) third = lines.find("\ntrial", third + 1);
    std::ofstream(journal, std::ios::binary) << lines.substr(0, third + 40);
    const Outcome outcome = compare(arguments + "--resume");
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    const auto before = runs_of(folder_ / "out" / "comparison.csv");
    EXPECT_EQ(before.size(), 4u);
    const std::string resumed = text_of(journal);
    EXPECT_TRUE(resumed.starts_with(lines.substr(0, third)));  // as they were, times too
    EXPECT_EQ(lines_with(resumed, "trial ").size(), 4u);
    // Times differ, losses do not.
    std::ofstream(folder_ / "whole.csv", std::ios::binary) << whole;
    for (const auto& [name, run] : runs_of(folder_ / "whole.csv")) {
        EXPECT_EQ(before.at(name).losses, run.losses) << name;
        EXPECT_EQ(before.at(name).validations, run.validations) << name;
    }
    EXPECT_EQ(text_of(folder_ / "out" / "comparison.md").find("cut off"), std::string::npos);

    EXPECT_EQ(compare(arguments + "--resume --steps 21").code, 2);
    EXPECT_EQ(compare(arguments + "--resume --width 16").code, 2);
    std::ofstream(journal, std::ios::binary | std::ios::app) << "trial text sgd x\n";
    EXPECT_EQ(compare(arguments + "--resume").code, 2);
    fs::remove(journal);
    EXPECT_EQ(compare(arguments + "--resume").code, 2);
}

// Of the table of a page with one task; columns of times, which differ from run to run, are left out.
std::vector<std::string> rows_without_times(const std::string& page) {
    std::vector<std::string> rows;
    for (const std::string& line : lines_with(page, "| ")) {
        std::istringstream cells(line);
        std::string row;
        int column = 0;  // the first one is what is before the row
        for (std::string cell; std::getline(cells, cell, '|'); ++column)
            if (column != 4 && column != 9 && column != 10) row += cell + "|";
        rows.push_back(row);
    }
    return rows;
}

// The same table, and with nothing cut off the same page, wherever the journal ends.
TEST_F(CompareOptimizers, KeepsItsTableWhereverItsJournalEnds) {
    const std::string arguments =
        "--tasks text --optimizers sgd,adamw --lr adamw=0.01 --factors 0.5,1 --seeds 2 ";
    ASSERT_EQ(compare(arguments).code, 0);
    const fs::path journal = folder_ / "out" / "comparison.runs", page = folder_ / "out" / "comparison.md",
                   csv = folder_ / "out" / "comparison.csv";
    const std::string lines = text_of(journal), whole_page = text_of(page), whole_csv = text_of(csv);
    const std::vector<std::string> rows = rows_without_times(whole_page);
    ASSERT_EQ(rows.size(), 4u) << whole_page;  // with head and rule
    const std::size_t trials = lines_with(lines, "trial ").size();
    ASSERT_GE(trials, 6u) << lines;
    const std::size_t steps = lines.find("\nsteps ") + 1, first = lines.find("\ntrial ") + 1;
    const std::size_t second = lines.find("\ntrial ", first) + 1;
    ASSERT_EQ(lines.back(), '\n');
    for (const auto& [cut, what] :
         std::map<std::size_t, std::string>{{steps, "before the steps"},
                                            {steps + 7, "within the steps' task"},
                                            {first - 2, "within the steps' number"},
                                            {second, "after the first trial"},
                                            {second + 3, "within the second one's first word"},
                                            {lines.size() - 2, "within the last number"},
                                            {lines.size() - 1, "before the last line's end"}}) {
        SCOPED_TRACE(what);
        std::ofstream(journal, std::ios::binary) << lines.substr(0, cut);
        const Outcome outcome = compare(arguments + "--resume");
        ASSERT_EQ(outcome.code, 0) << outcome.text;
        EXPECT_EQ(rows_without_times(text_of(page)), rows);
        const std::string resumed = text_of(journal);
        EXPECT_TRUE(resumed.starts_with(lines.substr(0, lines.substr(0, cut).rfind('\n') + 1)));
        EXPECT_EQ(lines_with(resumed, "trial ").size(), trials);
    }

    // Nothing cut off, and one trial twice: nothing is run again, so that times are the same, too.
    const std::string last = lines.substr(lines.rfind('\n', lines.size() - 2) + 1);
    for (const std::string& kept : {lines, lines + last}) {
        std::ofstream(journal, std::ios::binary) << kept;
        const Outcome outcome = compare(arguments + "--resume");
        ASSERT_EQ(outcome.code, 0) << outcome.text;
        std::string resumed = text_of(page);
        const std::string option = " --resume";
        ASSERT_NE(resumed.find(option), std::string::npos);
        resumed.erase(resumed.find(option), option.size());
        EXPECT_EQ(resumed, whole_page);
        EXPECT_EQ(text_of(csv), whole_csv);
        EXPECT_EQ(text_of(journal), kept);
    }
}

TEST_F(CompareOptimizers, RefusesAJournalThatIsNotItsOwn) {
    const std::string arguments = "--tasks text --optimizers sgd --lr sgd=0.2 ";
    ASSERT_EQ(compare(arguments).code, 0);
    const fs::path journal = folder_ / "out" / "comparison.runs";
    const std::string lines = text_of(journal);
    const std::string trial = lines.substr(lines.find("\ntrial ") + 1);
    const auto refusal = [&](const std::string& kept) {
        std::ofstream(journal, std::ios::binary) << kept;
        const Outcome outcome = compare(arguments + "--resume");
        EXPECT_EQ(outcome.code, 2) << outcome.text;
        EXPECT_EQ(text_of(journal), kept);  // as it was
        return outcome.text;
    };
    const auto expect = [&](const std::string& kept, const std::string& words) {
        const std::string text = refusal(kept);
        EXPECT_NE(text.find(words), std::string::npos) << text;
    };
    expect(lines.substr(0, 20), "nothing to go on with");  // within the first line
    expect(lines + "steps text 21\n", "line 4: there are other steps of text");
    expect(lines + "nonsense text 1\n", "line 4: 'nonsense' is no kind of line");
    expect(lines + trial.substr(0, trial.size() / 2) + "\n", "line 4: ");
    expect(lines + trial.substr(0, trial.size() - 1) + " 1\n", "line 4: the line goes on with '1'");
    expect(lines + "trial text sgd 0.1 1 20 0 1 1 1 8 8 -1\n", "line 4: '-1' is no count");
    expect(lines + "trial text sgd 0.1 1 20 0 1 1 1 8 8 1e99\n", "line 4: '1e99' is no count");
    expect(lines + "trial other sgd" + trial.substr(trial.find(" 0.2")), "line 4: the trial has other steps");

    // Another text of the same name and length.
    std::string text = text_of(folder_ / "text.txt");
    text.replace(text.find("fish"), 4, "hens");
    std::ofstream(folder_ / "text.txt", std::ios::binary) << text;
    expect(lines, "holds another comparison");
}

TEST_F(CompareOptimizers, MakesRunsShorterForABudget) {
    const Outcome outcome =
        compare("--tasks text --optimizers sgd --lr sgd=0.2 --steps 100000 --budget 0.05");
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_EQ(lines_with(outcome.text, "the budget leaves").size(), 1u) << outcome.text;
    const auto runs = runs_of(folder_ / "out" / "comparison.csv");
    ASSERT_EQ(runs.size(), 1u);
    EXPECT_LT(runs.begin()->second.losses.size(), 100000u);
    EXPECT_GE(runs.begin()->second.losses.size(), 20u);
}

TEST_F(CompareOptimizers, FailsWhereAnOptimizerDivergesAtEveryRate) {
    const Outcome outcome = compare("--tasks fashion_mnist --optimizers sgd,adamw --lr sgd=1e30,adamw=0.01");
    EXPECT_EQ(outcome.code, 1) << outcome.text;
    for (const std::string& line : lines_with(outcome.text, "sgd "))
        if (line.starts_with("sgd ")) EXPECT_NE(line.find("diverged"), std::string::npos) << line;
    EXPECT_EQ(lines_with(outcome.text, "Lowest validation loss: adamw").size(), 1u) << outcome.text;
}

TEST_F(CompareOptimizers, RefusesBadArguments) {
    const std::string tiny = (folder_ / "tiny.txt").string();
    std::ofstream(tiny) << "too short";
    for (const std::string arguments : {"--optimizers nonsense",
                                        "--optimizers sgd,sgd",
                                        "--tasks nonsense",
                                        "--tasks text,text",
                                        "--preset huge",
                                        "--steps 0",
                                        "--seeds 0",
                                        "--seed -1",
                                        "--factors 0",
                                        "--factors 1,1",
                                        "--factors x",
                                        "--lr sgd",
                                        "--lr sgd=0",
                                        "--lr adamw=1 --optimizers sgd",
                                        "--target text=0",
                                        "--target text",
                                        "--target text=2 --tasks fashion_mnist",
                                        "--budget 0",
                                        "--data nowhere",
                                        "--text nowhere",
                                        "--hidden 0",
                                        "--batch 1000",
                                        "--context 0",
                                        "--width 9",
                                        "--heads 3",
                                        "--blocks 0",
                                        "--sequences 0",
                                        "--device nonsense",
                                        "--out /dev/null/x",
                                        "--nonsense"}) {
        const Outcome outcome = compare(arguments);
        EXPECT_EQ(outcome.code, 2) << arguments << "\n" << outcome.text;
        EXPECT_FALSE(outcome.text.empty()) << arguments;
    }
    const Outcome outcome = run(std::string(COMPARE_OPTIMIZERS_PROGRAM) + " --tasks text --text " + tiny +
                                " --out " + (folder_ / "out").string());
    EXPECT_EQ(outcome.code, 2);
    EXPECT_NE(outcome.text.find("too few"), std::string::npos) << outcome.text;
}

TEST_F(CompareOptimizers, HelpListsPresetsOptimizersAndDevices) {
    const Outcome outcome = compare("--help");
    EXPECT_EQ(outcome.code, 0);
    for (const char* word :
         {"--optimizers", "--budget", "small", "large", "muon", "adamw", "Devices", "uuid", "comparison.csv"})
        EXPECT_NE(outcome.text.find(word), std::string::npos) << word;
}

}  // namespace
}  // namespace heron::test
