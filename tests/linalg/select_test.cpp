// SPDX-License-Identifier: MIT
// argsort(), top_k() and gathers against the host's stable sort, on every device.
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// Stable, NaN last in both orders, -0 before 0.
std::vector<std::uint32_t> sorted_columns(const Vector& keys, SortOrder order) {
    std::vector<std::uint32_t> columns(static_cast<std::size_t>(keys.size()));
    std::iota(columns.begin(), columns.end(), 0u);
    std::stable_sort(columns.begin(), columns.end(), [&](std::uint32_t a, std::uint32_t b) {
        double x = keys[a], y = keys[b];
        if (std::isnan(x) || std::isnan(y)) return !std::isnan(x) && std::isnan(y);
        if (order == SortOrder::descending) std::swap(x, y);
        if (x == 0 && y == 0) return std::signbit(x) && !std::signbit(y);
        return x < y;
    });
    return columns;
}

class SelectTest : public LinalgTest {
protected:
    struct Pending {
        Placed x;
        std::uint64_t k;
        SortOrder order;
        Words indices;
        Placed values;
        bool has_values;
    };

    // k = 0: all of them, by argsort().
    void add(Graph& graph, const std::vector<Matrix>& items, SortOrder order, std::uint64_t k = 0,
             DType dtype = DType::f32, std::uint64_t gap = 0) {
        Pending p{place(graph, items, dtype, gap), k, order, {}, {}, k != 0};
        if (k == 0) p.k = p.x.cols;
        p.indices = words(graph, {items.size(), p.x.rows, p.k}, {});
        const Tensor indices =
            items.size() == 1 ? p.indices.tensor.reshape({p.x.rows, p.k}) : p.indices.tensor;
        if (k == 0) {
            argsort(graph, p.x.tensor, indices, order);
        } else {
            p.values = blank(graph, items.size(), p.x.rows, p.k, gap, dtype);
            top_k(graph, p.x.tensor, indices, p.values.tensor, order);
        }
        pending_.push_back(std::move(p));
    }

    void check() {
        for (const Pending& p : pending_) {
            const std::vector<std::uint32_t> is = p.indices.words();
            std::size_t at = 0;
            for (std::size_t item = 0; item < p.x.items.size(); ++item)
                for (Eigen::Index r = 0; r < p.x.items[item].rows(); ++r) {
                    const auto should = sorted_columns(p.x.items[item].row(r), p.order);
                    const Matrix values = p.has_values ? p.values.read()[item] : Matrix();
                    for (std::uint64_t c = 0; c < p.k; ++c, ++at) {
                        ASSERT_EQ(is[at], should[c])
                            << GetParam().name << ": " << p.x.rows << "x" << p.x.cols << " "
                            << to_string(p.x.dtype) << " order " << static_cast<int>(p.order) << " k " << p.k
                            << ", item " << item << " row " << r << " place " << c;
                        if (p.has_values) {
                            const double value = values(r, static_cast<Eigen::Index>(c));
                            const double key = p.x.items[item](r, should[c]);
                            ASSERT_TRUE(value == key || (std::isnan(value) && std::isnan(key)));
                        }
                    }
                }
        }
        pending_.clear();
    }

    std::vector<Pending> pending_;
};

constexpr SortOrder kOrders[] = {SortOrder::ascending, SortOrder::descending};

// Few different keys, so that stability shows.
Matrix with_ties(std::uint64_t rows, std::uint64_t cols, std::uint64_t seed) {
    return random_matrix(rows, cols, seed).unaryExpr([](double x) { return std::round(2 * x) + 0.0; });
}

TEST_P(SelectTest, ArgsortIsTheStableSortForEveryLength) {
    Graph graph(device());
    for (SortOrder order : kOrders) {
        for (std::uint64_t n : {1u,  2u,   3u,   5u,   7u,   8u,   15u,  16u,   17u,   31u,   33u,  64u,
                                65u, 127u, 129u, 255u, 256u, 257u, 513u, 1000u, 1024u, 1025u, 3000u}) {
            add(graph, {random_matrix(3, n, n)}, order);
            add(graph, {with_ties(2, n, n)}, order);
        }
        add(graph, {with_ties(1, 65536, 1)}, order);
        add(graph, {random_matrix(1, 70001, 2)}, order);
        add(graph, {random_matrix(100, 3, 4), random_matrix(100, 3, 5)}, order, 0, DType::f32, 2);
        add(graph, {Matrix::Zero(2, 700)}, order);
    }
    run(graph);
    check();
}

TEST_P(SelectTest, TopKIsTheBeginningOfTheSort) {
    Graph graph(device());
    for (SortOrder order : kOrders)
        for (std::uint64_t n : {1u, 9u, 100u, 257u, 2500u, 20001u})
            for (std::uint64_t k : {1u, 2u, 9u, 100u, 1500u})
                if (k <= n) add(graph, {with_ties(2, n, n), random_matrix(2, n, k)}, order, k);
    run(graph);
    check();
}

TEST_P(SelectTest, TakeGapsAnd16BitKeys) {
    Graph graph(device());
    for (DType dtype : {DType::f32, DType::f16, DType::bf16})
        for (SortOrder order : kOrders) {
            add(graph, {random_matrix(3, 301, 1)}, order, 0, dtype, 3);
            add(graph, {random_matrix(3, 601, 2), random_matrix(3, 601, 3)}, order, 7, dtype, 1);
        }
    run(graph);
    check();
}

TEST_P(SelectTest, OrderIsTotal) {
    Graph graph(device());
    Matrix x = random_matrix(2, 600, 1);
    x(0, 5) = x(0, 599) = x(1, 0) = kNan;
    x(0, 7) = -kNan;
    x(0, 1) = kInfinity;
    x(0, 300) = -kInfinity;
    x(0, 2) = 0.0;
    x(0, 3) = -0.0;
    x(1, 9) = -0.0;
    x(1, 10) = 0.0;
    for (SortOrder order : kOrders) {
        add(graph, {x}, order);
        add(graph, {x.leftCols(12)}, order);
        add(graph, {Matrix::Constant(1, 300, kNan)}, order);
        add(graph, {x}, order, 20);
    }
    run(graph);
    check();
}

TEST_P(SelectTest, GpuVariantSorts) {
    Graph graph(smallest_gpu());
    for (SortOrder order : kOrders) {
        for (std::uint64_t n : {1u, 3u, 100u, 1024u, 1025u, 5000u}) add(graph, {with_ties(3, n, n)}, order);
        add(graph, {random_matrix(2, 3000, 1)}, order, 10);
    }
    run(graph);
    check();
}

TEST_P(SelectTest, SplitDispatchesSortAlike) {
    Graph graph(device());
    add(graph, {with_ties(40, 1000, 1)}, SortOrder::descending);
    run(graph, {.max_dispatch_flops = 1e5});
    check();
}

TEST_P(SelectTest, RowsAndColumnsAreGathered) {
    for (DType from : {DType::f32, DType::bf16})
        for (DType to : {DType::f32, DType::f16})
            for (bool one_x : {false, true})
                for (bool one_index : {false, true}) {
                    Graph graph(device());
                    std::vector<Matrix> items{random_matrix(11, 13, 1)};
                    if (!one_x) items.push_back(random_matrix(11, 13, 2));
                    const Placed x = place(graph, items, from, 2);
                    std::vector<std::uint32_t> index{3, 3, 0, 10, 11, 0xffffffff, 12, 5, 1};
                    if (!one_index) index.insert(index.end(), {9, 8, 7, 6, 5, 4, 3, 2, 1});
                    const Words indices = words(graph, one_index ? Shape{9} : Shape{2, 9}, index);
                    const Placed rows = blank(graph, 2, 9, 13, 1, to), cols = blank(graph, 2, 11, 9, 0, to);
                    gather_rows(graph, x.tensor, indices.tensor, rows.tensor);
                    gather_columns(graph, x.tensor, indices.tensor, cols.tensor);
                    run(graph);
                    const std::vector<Matrix> rows_are = rows.read(), cols_are = cols.read();
                    for (std::size_t item = 0; item < 2; ++item) {
                        const Matrix& source = rounded(x.items[one_x ? 0 : item], to);
                        for (Eigen::Index i = 0; i < 9; ++i) {
                            const std::uint32_t k =
                                index[(one_index ? 0 : item * 9) + static_cast<std::size_t>(i)];
                            const Matrix row = k < 11 ? Matrix(source.row(k)) : Matrix::Zero(1, 13);
                            const Matrix col = k < 13 ? Matrix(source.col(k)) : Matrix::Zero(11, 1);
                            EXPECT_TRUE(rows_are[item].row(i) == row) << "row " << i << " of item " << item;
                            EXPECT_TRUE(cols_are[item].col(i) == col)
                                << "column " << i << " of item " << item;
                        }
                    }
                }
}

TEST_P(SelectTest, RefuseWhatDoesNotFit) {
    Graph graph(device());
    const Tensor x = graph.temporary(DType::f32, {3, 4, 5}), words = graph.temporary(DType::u32, {3, 4, 5}),
                 few = graph.temporary(DType::u32, {3, 4, 2}), many = graph.temporary(DType::u32, {3, 4, 6});
    Tensor apart = graph.temporary(DType::u32, {3, 1, 5});  // matrices of one row, with gaps between them
    apart.row_stride = 5;
    apart.shape = Shape{3, 1, 4};
    expect_refusals(graph,
                    {{"x is empty", [&] { argsort(graph, {}, words); }},
                     {"a contiguous tensor of 4 u32",
                      [&] {
                          gather_rows(graph, x, apart, graph.temporary(DType::f32, {3, 4, 5}));
                      }},
                     {"`indices` is empty", [&] { argsort(graph, x, {}); }},
                     {"must be u32", [&] { argsort(graph, x, x); }},
                     {"f32, f16 or bf16", [&] { argsort(graph, words, words); }},
                     {"shapes must agree", [&] { argsort(graph, x, few); }},
                     {"not more columns", [&] { top_k(graph, x, many); }},
                     {"shapes must agree", [&] { top_k(graph, x, few, x); }},
                     {"not one of", [&] { top_k(graph, x, few, {}, static_cast<SortOrder>(2)); }},
                     {"numbers of columns must agree",
                      [&] {
                          gather_rows(graph, x, few, graph.temporary(DType::f32, {3, 2, 4}));
                      }},
                     {"numbers of rows must agree",
                      [&] {
                          gather_columns(graph, x, few, graph.temporary(DType::f32, {3, 2, 5}));
                      }},
                     {"one for all",
                      [&] {
                          gather_rows(graph, x, few, graph.temporary(DType::f32, {2, 4, 5}));
                      }},
                     {"a contiguous tensor of 4 u32",
                      [&] {
                          gather_rows(graph, x, few, graph.temporary(DType::f32, {3, 4, 5}));
                      }},
                     {"overlaps x", [&] { gather_rows(graph, x, graph.temporary(DType::u32, {4}), x); }}});
}

HERON_DEVICE_TESTS(SelectTest);

}  // namespace
}  // namespace heron::test
