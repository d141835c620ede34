// SPDX-License-Identifier: MIT
// Factors of small systems that are kept from step to step: what has changed decides what becomes of them, on
// the device.
#include <cstddef>

#include "heron/linalg/update.hpp"
#include "linalg/cholesky.hpp"
#include "linalg/tensors.hpp"
#include "linalg/woodbury.hpp"

namespace heron {

static_assert(WindowFactor::kCounts == gpu::WOODBURY_KEPT_WORDS);

void check_kept(std::string_view who, const Graph& graph, const Window& window, const NamedTensor& given,
                const Tensor& x, const WoodburyOptions& options) {
    const WindowFactor& kept = options.kept;
    const std::uint64_t items = window.rows.batch(), s = window.rows.rows();
    check_elements(who, "kept.factor", graph, kept.factor, items * s * s, ElementKind::f32);
    check_elements(who, "kept.system", graph, kept.system, items * s * s, ElementKind::f32);
    check_elements(who, "kept.counts", graph, kept.counts, items * gpu::WOODBURY_KEPT_WORDS,
                   ElementKind::u32);
    Extents extents(graph);
    extents.read("the window", window.rows);
    extents.read("the Gram matrix", window.gram);
    extents.read("exponents", window.exponents);
    extents.read(given.name, given.tensor);
    extents.read("device_lambda", options.device_lambda);
    extents.written("x", x);
    extents.written("status", options.status);
    extents.written("damping", options.damping);
    extents.written("kept.factor", kept.factor);
    extents.written("kept.system", kept.system);
    extents.written("kept.counts", kept.counts);
    extents.check(who);
}

void add_kept_factor(WoodburyPasses& passes, const KeptSystem& kept, const CholeskyOptions& options) {
    Graph& graph = passes.graph();
    const Shape each{passes.items()};
    const Tensor row = graph.temporary(DType::u32, each), replacement = graph.temporary(DType::u32, each),
                 anew = graph.temporary(DType::u32, each);
    const Tensor column = graph.temporary(DType::f32, Shape{passes.items(), passes.s()});
    using Job = gpu::WoodburyKeepJob;
    passes.keep_step(gpu::WOODBURY_KEEP_CHOOSE,
                     {{offsetof(Job, b), kept.b, Access::read},
                      {offsetof(Job, changes), kept.changes, Access::read},
                      {offsetof(Job, kept), kept.counts, Access::read},
                      {offsetof(Job, row), row, Access::write},
                      {offsetof(Job, column), column, Access::write},
                      {offsetof(Job, anew), anew, Access::write},
                      {offsetof(Job, status), options.status, Access::write},
                      {offsetof(Job, jitter), options.jitter_used, Access::write}});
    cholesky_replace_row(graph, kept.factor, row, column, replacement, options.guarded);
    passes.keep_step(gpu::WOODBURY_KEEP_JUDGE, {{offsetof(Job, kept), kept.counts, Access::read_write},
                                                {offsetof(Job, info), kept.info, Access::read},
                                                {offsetof(Job, row), row, Access::read},
                                                {offsetof(Job, replacement), replacement, Access::read},
                                                {offsetof(Job, anew), anew, Access::read_write}});
    add_active_cholesky(graph, anew, kept.b, kept.factor, options);
    passes.keep_step(gpu::WOODBURY_KEEP_NOTE, {{offsetof(Job, kept), kept.counts, Access::read_write},
                                               {offsetof(Job, status), options.status, Access::read}});
}

}  // namespace heron
