// SPDX-License-Identifier: MIT
// The pieces of the Woodbury solves, one source file each: checks and windows (woodbury_window.cpp), passes
// over long rows (woodbury_passes.cpp), kept factors (woodbury_kept.cpp), range and subtractive solves
// (woodbury_solve.cpp), diagonal plus low rank (woodbury_diagonal.cpp). The operations themselves are public:
// heron/linalg/woodbury.hpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heron/linalg/cholesky.hpp"
#include "heron/linalg/woodbury.hpp"
#include "linalg/checks.hpp"
#include "linalg/integers.hpp"
#include "linalg/woodbury.h"

namespace heron {

inline constexpr std::uint64_t kMaxWindowRows = 1024;

inline bool is_positive(float x) { return x > 0 && std::isfinite(x); }

// --- woodbury_window.cpp

// `count` elements without gaps, f32, or u32, or any float.
enum class ElementKind { f32, u32, any_float };
void check_elements(std::string_view who, std::string_view name, const Graph& graph, const Tensor& tensor,
                    std::uint64_t count, ElementKind kind);
void check_window(std::string_view who, const Graph& graph, const Window& window);
void check_apart(std::string_view who, const Graph& graph, std::string_view name, const Tensor& output,
                 const Window& window);

// --- woodbury_passes.cpp

// One window of a graph, and how its kernels are run.
class WoodburyPasses {
public:
    WoodburyPasses(Graph& graph, const Window& window, bool guarded)
        : graph_(graph),
          window_(window),
          guarded_(guarded),
          cpu_(graph.device().capabilities().cpu),
          items_(window.rows.batch()),
          s_(window.rows.rows()),
          d_(window.rows.cols()),
          tiles_(ceil_div(s_, gpu::WOODBURY_TILE)) {}

    std::uint64_t items() const { return items_; }
    std::uint64_t s() const { return s_; }
    std::uint64_t d() const { return d_; }
    Graph& graph() const { return graph_; }
    std::uint64_t chunks() const { return ceil_div(d_, threads() * per_thread()); }
    std::uint32_t threads() const { return cpu_ ? 8 : 128; }

    // Exponents and Gram matrix from the rows.
    void gram();
    void push(const Tensor& g, const Tensor& slot, const Tensor& newest);
    // Partial sums of U' v for each chunk; with `slot`, of the window's own newest row.
    Tensor dots(const Tensor& v, const Tensor& factors, const Tensor& info, const Tensor& slot,
                std::uint32_t extra_flags);
    // The host's lambda; or the device's, one or one for each window, and a factor on it.
    struct Lambda {
        float factor;
        Tensor device = {};
    };
    struct System {
        Tensor c, b, factors, info;
        bool average_rows = false;
        Tensor kept, changes;  // b is kept, with these words, and what has changed in it is told
    };
    // b = U' U'^T + lambda' I, or U U^T + C.
    void system(const Lambda& lambda, const System& tensors);
    // One step of what becomes of a kept factor, by its mode.
    void keep_step(std::uint32_t mode, std::vector<Operand> operands);
    // One step on the small system, by its job's mode.
    void small_step(const gpu::WoodburySolveJob& job, std::vector<Operand> operands);
    struct Combine {
        Tensor q, factors, info, b, r, x;
    };
    void combine(const Combine& tensors, std::uint32_t mode, std::uint32_t extra_flags, float weight);

private:
    struct Cost {
        double bytes, flops;
    };
    // Passes over all rows, and FLOPs for each of their elements.
    Cost over_rows(double passes, double flops) const;
    // 32-bit words and FLOPs for each item.
    Cost over_words(std::uint64_t words, std::uint64_t flops) const;
    std::string in_chunks(std::uint64_t length) const;
    void add(Operation operation, std::vector<SpecConstant> constants, const Cost& cost, std::string reason);
    // Largest elements of `rows` rows for each item of x, for each chunk.
    Tensor maxima(const Tensor& x, std::uint64_t rows, std::uint64_t stride, std::uint64_t item,
                  const Tensor& slot = {});
    std::uint32_t per_thread() const;
    std::uint32_t flags() const { return window_.normalized ? gpu::WOODBURY_NORMALIZED : 0; }

    Graph& graph_;
    const Window& window_;
    const bool guarded_, cpu_;
    const std::uint64_t items_, s_, d_, tiles_;
};

// --- woodbury_kept.cpp

void check_kept(std::string_view who, const Graph& graph, const Window& window, const NamedTensor& given,
                const Tensor& x, const WoodburyOptions& options);

struct KeptSystem {
    Tensor b, factor;  // matrices for each window
    Tensor counts, changes, info;
};
// The factor after system(): as it is, with a row replaced, or made anew with `options`, whose status and
// jitter are ok and 0 else.
void add_kept_factor(WoodburyPasses& passes, const KeptSystem& kept, const CholeskyOptions& options);

// --- woodbury_solve.cpp

// What woodbury_range() and woodbury_solve() add. `earlier`: optional statuses of what the window was made
// with; where they are not ok, neither is the system.
void add_woodbury_range(Graph& graph, const Window& window, const Tensor& y, const Tensor& x,
                        const WoodburyOptions& options, const Tensor& earlier = {});
void add_woodbury_solve(Graph& graph, const Window& window, const Tensor& b, const Tensor& x,
                        const WoodburyOptions& options, const Tensor& earlier = {});

}  // namespace heron
