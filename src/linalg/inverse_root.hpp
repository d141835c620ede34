// SPDX-License-Identifier: MIT
// The pieces of inverse_root(), one source file each. The operation itself is public:
// heron/linalg/inverse_root.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "heron/linalg/inverse_root.hpp"
#include "heron/linalg/product.hpp"
#include "linalg/inverse_root.h"

namespace heron {

// --- inverse_root.cpp: what the pieces share.

// What RootMethod::automatic stands for; `small` where one workgroup can hold the matrix.
RootMethod root_method(const InverseRootOptions& options, bool small);
std::uint32_t root_budget(const InverseRootOptions& options, RootMethod method);
// Products for T^p M by binary powering.
std::uint32_t root_products_of_power(std::uint32_t p);
// Two words go on for a 32nd of the tolerance, so that its square, times that of n, is below u by default.
inline float root_tolerance(const InverseRootOptions& options) {
    return options.words == 2 ? options.tolerance / 32 : options.tolerance;
}
// ROOT_TWO_WORDS, or nothing.
inline std::uint32_t root_word_flag(const InverseRootOptions& options) {
    return options.words == 2 ? gpu::ROOT_TWO_WORDS : 0;
}
// ROOT_HAS_, ROOT_KEEP and root_word_flag().
std::uint32_t root_flags(const InverseRootOptions& options);
template <class Job>
void add_root_reports(std::vector<Operand>& operands, const InverseRootOptions& options) {
    if (options.status) operands.push_back({offsetof(Job, status), options.status, Access::write});
    if (options.residual) operands.push_back({offsetof(Job, residual), options.residual, Access::write});
    if (options.iterations_used)
        operands.push_back({offsetof(Job, used), options.iterations_used, Access::write});
}

// --- inverse_root_workgroup.cpp: all iterations of a small matrix in one workgroup.
// Why it does not take matrices of n rows; empty when it does.
std::string root_workgroup_refusal(const Device& device, std::uint64_t n, const InverseRootOptions& options);
void add_root_workgroup(Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options);

// --- Large matrices, by products.

// An iterate: X -> A^(-1/p), M -> I, which is what the iteration watches, and Y -> A^(1/2) where it is asked
// for or needed.
struct RootIterate {
    Tensor x, m, y;
};

class BlockedRoot {
public:
    BlockedRoot(Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options);
    void add();

private:
    // inverse_root_products.cpp: begin and end of the iteration, and of each of its steps.
    void start();
    void start_warm();
    void first_iterate(const Tensor& m, const Tensor& x, double norm);
    void error(const Tensor& test, std::uint32_t flags);
    void commit(std::uint32_t iteration, const Tensor& failures, std::uint32_t extra_flags);
    void finish(const Tensor& x, const Tensor& corrected, const Tensor& result, int sign, bool reports);
    void convert(const Tensor& from, const Tensor& to);
    void add_operation(Operation operation, double passes);  // iterates that are read or written
    std::uint32_t rows_per_group() const { return cpu_ ? 32 : 8; }
    std::uint32_t threads() const { return cpu_ ? 8 : 128; }
    std::uint64_t slots() const { return budget_ + 1; }
    Tensor square() { return graph_.temporary(DType::f32, Shape{items_, options_.words * n_, n_}); }
    RootIterate iterate() { return {square(), square(), three_ ? square() : Tensor{}}; }

    // inverse_root_iterate.cpp: next_ from now_.
    void newton();
    void newton_schulz();
    Tensor denman_beavers(std::uint32_t iteration);
    void refine();
    void correct(const Tensor& x, const Tensor& corrected);
    GemmOptions product(double alpha = 1.0, double beta = 0.0) const;
    void multiply(const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d, double alpha,
                  double beta);
    void multiply(const Tensor& a, const Tensor& b, const Tensor& d);
    void multiply_t(const Tensor& a, const Tensor& m, const Tensor& d, double p);
    void full_product(const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d, double alpha = 1.0,
                      double beta = 0.0);

    Graph& graph_;
    const Tensor a_, x_;
    const InverseRootOptions& options_;
    const RootMethod method_;
    const std::uint32_t budget_;
    const std::uint64_t n_, items_;
    const bool cpu_;
    std::uint64_t groups_ = 0;
    bool three_ = false, writes_t_ = false;
    RootIterate now_, next_;
    Tensor scratch_[2];  // of products whose results go into others
    Tensor t_, states_, partials_;
    Tensor running_;  // u32, one for each matrix: 0 when it has stopped
};

}  // namespace heron
