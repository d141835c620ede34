// SPDX-License-Identifier: MIT
// Optimizers of one plan share dispatches: what each of them makes of its own gradients must not change by
// that.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "optim/training.hpp"

namespace heron::test {

// `make(device, i)`: an optimizer of other settings for each i. Its one tensor is of `shape`.
template <class Make>
std::vector<Training::Group> named_groups(std::span<const std::string> names, const Shape& shape,
                                          const Make& make) {
    std::vector<Training::Group> groups;
    for (std::size_t i = 0; i < names.size(); ++i)
        groups.push_back({[&make, name = names[i], i](const Device& on) {
                              auto optimizer = make(on, i);
                              optimizer->set_name(name);
                              return optimizer;
                          },
                          {{.name = names[i] + ".weight", .shape = shape}}});
    return groups;
}

// Three steps of all of them in one plan and of each in its own, by the same gradients: weights agree within
// `share` (1 + |w|); then `check(name, plan of all, its own)`.
template <class Make, class Check>
void expect_each_for_itself(Device& device, const Shape& shape, double share, const Make& make,
                            const Check& check) {
    const std::vector<std::string> names{"one", "two"};
    const std::vector<Training::Group> groups = named_groups(names, shape, make);
    Training together(device, groups);
    std::vector<std::unique_ptr<Training>> alone;
    for (unsigned i = 0; i < groups.size(); ++i)
        alone.push_back(std::make_unique<Training>(device, std::vector<Training::Group>{groups[i]},
                                                   StepOptions{}, i + 1));
    for (unsigned t = 1; t <= 3; ++t) {
        together.draw_gradients(t);
        for (std::size_t i = 0; i < alone.size(); ++i) {
            alone[i]->tensor().set_gradient(together.tensor(i).gradient_values());
            alone[i]->plan().run();
        }
        together.plan().run();
        for (std::size_t i = 0; i < alone.size(); ++i) {
            const std::vector<float> expected = alone[i]->tensor().weight();
            EXPECT_TRUE(within(
                together.tensor(i).weight(), doubles(expected),
                [&](std::size_t k) { return share * (1 + std::abs(static_cast<double>(expected[k]))); }))
                << names[i] << ", step " << t;
            check(names[i], together, *alone[i]);
        }
    }
}

}  // namespace heron::test
