// SPDX-License-Identifier: MIT
// What the statuses of all operations have in common (heron/linalg/status.hpp): written in every step, for
// matrices without elements, too; memory of their own.
#include <heron/linalg.hpp>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

class StatusTest : public LinalgTest {};

TEST_P(StatusTest, MatricesWithoutElementsAreOk) {
    Graph graph(device());
    std::vector<Words> written;
    const auto report = [&](DType dtype = DType::u32) {
        written.push_back(words(graph, 3, dtype));
        return written.back().tensor;
    };
    const auto tensor = [&](std::uint64_t rows, std::uint64_t cols) {
        return graph.temporary(DType::f32, {3, rows, cols});
    };
    const Tensor none = tensor(0, 0), wide = tensor(0, 4), tall = tensor(4, 0);
    const Tensor values = graph.temporary(DType::f32, {3, 0}), start = values;
    eigh(graph, none, values, tensor(0, 0), {.status = report()});
    matrix_power(graph, none, tensor(0, 0), {.status = report()});
    svd(graph, wide, tensor(0, 0), values, tensor(4, 0), {.status = report()});
    polar_by_svd(graph, wide, tensor(0, 4), {.status = report()});
    polar(graph, wide, tensor(0, 4), {.status = report()});
    truncated_svd(graph, tall, tensor(4, 0), values, tensor(0, 0),
                  {.basis = tensor(4, 0), .status = report()});
    inverse_root(graph, none, tensor(0, 0),
                 {.status = report(), .residual = report(DType::f32), .iterations_used = report()});
    power_iteration(graph, none, start, report(DType::f32), {.status = report()});
    cholesky(graph, none, tensor(0, 0), {.status = report()});
    qr(graph, tall, tensor(4, 0), tensor(0, 0), {.status = report()});
    cholesky_update(graph, none, values, report());
    sherman_morrison(graph, none, values, report());
    run(graph);
    for (std::size_t i = 0; i < written.size(); ++i)
        EXPECT_EQ(written[i].words(), (std::vector<std::uint32_t>{0, 0, 0})) << "report " << i;
}

TEST_P(StatusTest, StatusesLieApartFromResults) {
    Graph graph(device());
    const auto square = [&] { return graph.temporary(DType::f32, {2, 4, 4}); };
    const Tensor a = square(), x = square(), y = square(), z = square();
    const Tensor values = graph.temporary(DType::f32, {2, 4});
    const auto in = [](Tensor tensor) {
        tensor.dtype = DType::u32;
        tensor.shape = Shape{2};
        tensor.row_stride = 0;
        return tensor;
    };
    std::vector<Refusal> refusals;
    for (const Tensor& other : {a, x, values, y})
        refusals.push_back({"status (2 u32) overlaps",
                            [&, other] { eigh(graph, a, values, x, {.basis = y, .status = in(other)}); }});
    for (const Tensor& other : {a, x, values, y}) {
        refusals.push_back(
            {"status (2 u32) overlaps", [&, other] { svd(graph, a, x, values, y, {.status = in(other)}); }});
        refusals.push_back({"status (2 u32) overlaps", [&, other] {
                                truncated_svd(graph, a, x, values, y, {.basis = z, .status = in(other)});
                            }});
        if (other.id != a.id)
            refusals.push_back({"status (2 u32) overlaps", [&, other] {
                                    matrix_power(
                                        graph, a, z,
                                        {.basis = y, .vectors = x, .values = values, .status = in(other)});
                                }});
    }
    for (const Tensor& other : {a, x})
        refusals.push_back(
            {"status (2 u32) overlaps", [&, other] { polar_by_svd(graph, a, x, {.status = in(other)}); }});
    for (const Tensor& other : {a, x, y})
        refusals.push_back({"status (2 u32) overlaps", [&, other] {
                                inverse_root(graph, a, x, {.square_root = y, .status = in(other)});
                            }});
    expect_refusals(graph, refusals);
}

HERON_DEVICE_TESTS(StatusTest);

}  // namespace
}  // namespace heron::test
