// SPDX-License-Identifier: MIT
// The pieces of polar(), one source file each; tests see its choices. The operation itself is public:
// heron/linalg/polar.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "heron/linalg.hpp"
#include "linalg/integers.hpp"

namespace heron {

// --- polar.cpp: what every user of PolarOptions has to refuse.

inline constexpr double kMaxPolarCoefficient = 1e4;
inline constexpr double kMinPolarNormFactor = 0x1p-20;
inline constexpr double kMaxPolarNormFactor = 0x1p20;
// Throws (invalid_argument) naming the option, with `prefix` before it.
void check_polar_options(std::string_view who, const PolarOptions& options, const std::string& prefix = {});

// polar() where the kernel that has made `a` left `partials`, as of add_polar_norm(): `a` is read once less.
// Not needed where one workgroup takes a matrix; without them it is polar().
void polar_of_partials(Graph& graph, const Tensor& a, const Tensor& partials, const Tensor& out,
                       const PolarOptions& options, const Tensor& row_squares);

// --- What the pieces share.

// Elements from one item of a batch to the next.
inline std::uint64_t item_of(const Tensor& x) { return x.rows() * x.stride(); }

// The options' list, or the default one.
std::span<const NewtonSchulzCoefficients> polar_coefficients(const PolarOptions& options);
// Whether the Gram matrix is formed anew before iteration i > 0.
bool polar_restarts_before(const PolarOptions& options, std::size_t i);

// Of iterates, and of all that sums are stored in.
inline DType polar_dtype(const PolarOptions& options) {
    return options.words == 2 ? DType::f32 : options.precision;
}
// Whether iterates have two f32 words an element (two_word_product.hpp); two words of 16 bits are those of
// one f32 word.
inline bool polar_has_two_f32_words(const PolarOptions& options) {
    return options.words == 2 && options.precision == DType::f32;
}

// A temporary with the batch of `like`. Rows of 16-bit elements begin at multiples of 16 bytes, so that
// kernels can write whole words and load vectors.
Tensor polar_temporary(Graph& graph, const Tensor& like, DType dtype, std::uint64_t rows, std::uint64_t cols);
// For a rows x cols matrix of the iteration: of two f32 words it has 2 rows.
Tensor polar_temporary(Graph& graph, const Tensor& like, const PolarOptions& options, std::uint64_t rows,
                       std::uint64_t cols);

// --- polar_form.cpp: standard or Gram form, by FLOPs and precision.

// FLOPs of the iterations on one k x K matrix (k <= K), symmetric products at half price.
double polar_standard_flops(double k, double K, const PolarOptions& options);
double polar_gram_flops(double k, double K, const PolarOptions& options);
// The form that polar() takes for matrices that do not fit one workgroup: standard or gram, and why.
struct PolarChoice {
    PolarForm form;
    std::string_view reason;
};
PolarChoice choose_polar_form(std::uint64_t rows, std::uint64_t cols, const PolarOptions& options);
// Products with X, after each of which there is a new iterate.
std::size_t polar_products_with_x(PolarForm form, const PolarOptions& options);

// --- polar_workgroup.cpp: norm and all iterations of a small matrix in one workgroup.

// Constants of the kernel on a device.
struct PolarWorkgroupVariant {
    std::uint32_t threads;
    std::uint32_t pool;   // vec4 of shared memory
    std::uint32_t tiles;  // of a result per invocation
};
PolarWorkgroupVariant choose_polar_workgroup(const Capabilities& capabilities);
// All iterations, in as many dispatches as the list of coefficients takes (one, for every published set).
// norm_rule is one of POLAR_NORM_ (linalg/polar_workgroup.h).
void add_polar_workgroup(Graph& graph, const Tensor& x, const Tensor& result, std::uint32_t norm_rule,
                         const PolarOptions& options, const Tensor& row_squares);

// --- polar_normalize.cpp: x = a / (norm of a, by the options' rule).

// The squares of each matrix in parts, by Blue's sums (core/reduce.glsl): f32, batch() x parts x 3. The parts
// of a matrix are added up by each workgroup of what follows: some hundreds at most (kMaxNormPartials).
Tensor add_polar_norm(Graph& graph, const Tensor& a, const PolarOptions& options);
// Without partials x = a.
void add_polar_normalize(Graph& graph, const Tensor& a, const Tensor& partials, const Tensor& x,
                         const PolarOptions& options);
inline constexpr std::uint64_t kMaxNormPartials = 512;

// --- polar_iterate.cpp: the iterations as matrix products.

// A matrix of the iteration. With two 16-bit words an element `value` is f32, and products multiply the words
// that it was split into (split_words.hpp); else they multiply `value`, and there are no others.
struct PolarMatrix {
    Tensor value, high, low;
};
// With words of its own.
PolarMatrix polar_matrix(Graph& graph, const Tensor& value, const PolarOptions& options);

// The iterates X_0 .. X_n: two tensors in turn, and where the last one goes.
class PolarIterates {
public:
    // `first` holds X_0, may be overwritten, and has the words of every iterate in turn. `last` has one word,
    // and `row_squares` (may be empty) are its own.
    PolarIterates(const PolarMatrix& first, const Tensor& second, const Tensor& last, std::size_t count,
                  const Tensor& row_squares)
        : buffers_{first.value, second},
          words_(first),
          last_(last),
          row_squares_(row_squares),
          count_(count) {}

    const Tensor& current() const { return at_ == count_ ? last_ : buffers_[at_ % 2]; }
    const Tensor& next() const { return at_ + 1 == count_ ? last_ : buffers_[(at_ + 1) % 2]; }
    // current() with the tensors for its words.
    PolarMatrix matrix() const { return {current(), words_.high, words_.low}; }
    bool done() const { return at_ == count_; }
    // What the product that makes next() has to leave of it.
    Tensor next_row_squares() const { return at_ + 1 == count_ ? row_squares_ : Tensor{}; }
    void advance() { ++at_; }

private:
    std::array<Tensor, 2> buffers_;
    PolarMatrix words_;
    Tensor last_, row_squares_;
    std::size_t count_;
    std::size_t at_ = 0;
};
void add_polar_iterations(Graph& graph, PolarForm form, PolarIterates& x, const PolarOptions& options);

}  // namespace heron
