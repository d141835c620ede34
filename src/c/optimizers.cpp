// SPDX-License-Identifier: MIT
// The functions that are declared beside options: their defaults, and the optimizers made of them.
#include <memory>
#include <utility>

#include "c/convert.hpp"
#include "c/handles.hpp"

namespace heron::c {

namespace {

template <class Made, class C>
heron_result create_optimizer(const heron_device* device, const C* options, heron_optimizer** optimizer) {
    return guarded([&] {
        need(optimizer, "optimizer");
        auto made = std::make_unique<Made>(need(device, "device").device, read_options(options));
        *optimizer = new heron_optimizer{std::move(made)};
    });
}

}  // namespace

}  // namespace heron::c

using namespace heron;
using namespace heron::c;

#include "c/optimizers.inc"

heron_result heron_lookahead_create(const heron_device* device, heron_optimizer* inner,
                                    const heron_lookahead_options* options, heron_optimizer** optimizer) {
    const std::unique_ptr<heron_optimizer> taken(inner);
    return guarded([&] {
        need(optimizer, "optimizer");
        auto made = std::make_unique<Lookahead>(
            need(device, "device").device, std::move(need(inner, "inner").optimizer), read_options(options));
        *optimizer = new heron_optimizer{std::move(made)};
    });
}
