# SPDX-License-Identifier: MIT
"""src/c/generate.py finds its files up to date, and would find out about each kind of addition to the C++ headers."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def generate(root, *options):
    return subprocess.run([sys.executable, str(ROOT / "src/c/generate.py"), "--root", str(root), *options],
                          capture_output=True, text=True, check=False)


def check(root):
    return generate(root, "--check")


class GeneratedFiles(unittest.TestCase):
    def test_are_what_the_headers_make_of_them(self):
        result = check(ROOT)
        self.assertEqual(result.returncode, 0, result.stderr)


class Additions(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        shutil.copytree(ROOT / "include", self.root / "include")
        shutil.copytree(ROOT / "src/c", self.root / "src/c")
        (self.root / "tests").mkdir()
        shutil.copytree(ROOT / "tests/c_api", self.root / "tests/c_api")

    def tearDown(self):
        self.folder.cleanup()

    def change(self, name, old, new):
        path = self.root / "include/heron" / name
        text = path.read_text(encoding="utf-8")
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def expect_noticed(self, word):
        result = check(self.root)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(word, result.stderr)

    def test_nothing_changed(self):
        self.assertEqual(check(self.root).returncode, 0)

    def test_option(self):
        self.change("optim/adamw.hpp", "    Schedule schedule;", "    float more = 1.0f;\n    Schedule schedule;")
        self.expect_noticed("c/optimizers.h")

    def test_default(self):
        self.change("optim/lion.hpp", "beta2 = 0.99;", "beta2 = 0.98;")
        self.expect_noticed("c/optimizers.h")

    def test_option_of_a_type_that_c_lacks(self):
        self.change("optim/adamw.hpp", "    Schedule schedule;", "    std::set<int> more;\n    Schedule schedule;")
        self.expect_noticed("std::set<int>")

    def test_enumerator(self):
        self.change("optim/moments.hpp", "block8,", "block8,\n    block4,")
        self.expect_noticed("c/optimizers.h")

    def test_optimizer(self):
        text = (self.root / "include/heron/optim/lion.hpp").read_text(encoding="utf-8").replace("Lion", "Tiger")
        (self.root / "include/heron/optim/tiger.hpp").write_text(text, encoding="utf-8")
        self.expect_noticed("c/optimizers.h")

    def test_optimizer_that_is_declared_otherwise(self):
        self.change("optim/lion.hpp", "class HERON_API Lion : public Optimizer {",
                    "class HERON_API Lion final : public Optimizer {")
        self.expect_noticed("is this an optimizer?")

    def test_published_form(self):
        self.change("optim/lion.hpp", "    Schedule schedule;",
                    "    Schedule schedule;\n    HERON_API static LionOptions paper();")
        self.expect_noticed("c/optimizers.h")

    def test_device_option(self):
        self.change("device.hpp", "    bool debug_names", "    bool more = false;\n    bool debug_names")
        self.expect_noticed("DeviceOptions")

    def test_step_option(self):
        self.change("train.hpp", "    bool accumulate = false;", "    bool more = false;\n    bool accumulate = false;")
        self.expect_noticed("c/types.h")

    def test_struct_of_options(self):
        self.change("plan.hpp", "struct PlanMemory {",
                    "struct ReplayOptions {\n    int depth = 1;\n};\n\nstruct PlanMemory {")
        self.expect_noticed("ReplayOptions")

    def test_function_of_a_class(self):
        self.change("plan.hpp", "    void prewarm();", "    void prewarm();\n    bool warm() const;")
        self.expect_noticed("Plan::warm()")

    def test_class(self):
        self.change("train.hpp", "class HERON_API Schedule {",
                    "class HERON_API Watcher {\npublic:\n    bool seen() const;\n};\n\nclass HERON_API Schedule {")
        self.expect_noticed("Watcher")

    def test_class_that_is_written_otherwise(self):
        self.change("train.hpp", "class HERON_API Schedule {",
                    "class Watcher { int seen; };\nclass HERON_API Schedule {")
        self.expect_noticed("Watcher")

    def test_function_of_one_optimizer(self):
        self.change("optim/lion.hpp", "    const LionOptions& options()",
                    "    float rate() const;\n    const LionOptions& options()")
        self.expect_noticed("Lion::rate()")

    def test_function_of_a_struct(self):
        self.change("plan.hpp", "struct SliceResult {", "struct SliceResult {\n    bool empty() const;")
        self.expect_noticed("SliceResult::empty()")

    def test_overload_of_a_function_of_a_class(self):
        self.change("plan.hpp", "    void prewarm();", "    void prewarm();\n    void prewarm(std::uint32_t threads);")
        self.expect_noticed("Plan::prewarm()")

    def test_overload_of_a_function(self):
        self.change("train.hpp", "// Address of the f32",
                    "HERON_API void set_learning_rate(Plan& plan, float lr);\n// Address of the f32")
        self.expect_noticed("set_learning_rate()")

    def test_overload_of_one_that_has_several(self):
        self.change("scaling.hpp", "HERON_API void scale_damping(",
                    "HERON_API void scale_learning_rates(std::span<Parameter> parameters);\n"
                    "HERON_API void scale_damping(")
        self.expect_noticed("3 functions scale_learning_rates()")

    def test_comment_that_names_a_function_of_cpp(self):
        self.change("train.hpp", "    bool accumulate = false;", "    bool accumulate = false;  // see write_table()")
        self.expect_noticed("write_table()")

    def test_comment_by_hand_that_names_a_function_of_cpp(self):
        self.change("c/plan.h", "// Blocking copies of a whole state;",
                    "// As write_table().\n// Blocking copies of a whole state;")
        self.expect_noticed("write_table()")

    def test_function(self):
        self.change("train.hpp", "// Address of the f32", "HERON_API void stop(Plan& plan);\n// Address of the f32")
        self.expect_noticed("stop()")

    def test_header(self):
        (self.root / "include/heron/more.hpp").write_text("#pragma once\n", encoding="utf-8")
        self.expect_noticed("more.hpp")

    def test_layout_within_a_minor_version(self):
        self.change("c/plan.h", "    heron_shape shape;\n} heron_state_entry;",
                    "    heron_shape shape;\n    uint64_t bytes;\n} heron_state_entry;")
        self.expect_noticed("HERON_LAYOUT_STRUCT(heron_state_entry, 88)")
        self.assertNotEqual(generate(self.root).returncode, 0)
        self.assertEqual(generate(self.root, "--unreleased").returncode, 0)
        self.assertEqual(check(self.root).returncode, 0)

    def test_order_of_enumerators(self):
        self.change("optim/moments.hpp", "block8,", "block4,\n    block8,")
        self.expect_noticed("HERON_LAYOUT_ENUMERATOR(HERON_MOMENT_FORMAT_BLOCK8")

    def test_layout_of_another_minor_version(self):
        self.change("optim/lion.hpp", "    Schedule schedule;", "    float more = 1.0f;\n    Schedule schedule;")
        self.assertNotEqual(generate(self.root).returncode, 0)
        self.change("version.hpp", "#define HERON_VERSION_MINOR 1", "#define HERON_VERSION_MINOR 2")
        self.assertEqual(generate(self.root).returncode, 0)
        self.assertEqual(check(self.root).returncode, 0)

    def test_version(self):
        self.change("version.hpp", "#define HERON_VERSION_PATCH 0", "#define HERON_VERSION_PATCH 1")
        self.expect_noticed("c/types.h")


if __name__ == "__main__":
    unittest.main()
