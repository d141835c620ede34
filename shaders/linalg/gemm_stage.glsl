// SPDX-License-Identifier: MIT
// How tiles in shared memory become elements of D. The includer has included linalg/gemm.h, core/kernel.glsl and
// core/tile.glsl, and declared
//
//   float staged(uint r, uint c);                the sum at row r and column c of a piece of D, in shared memory
//   void stage(uint r, uint c, float value);     puts another value in its place
#ifndef HERON_LINALG_GEMM_STAGE_GLSL
#define HERON_LINALG_GEMM_STAGE_GLSL

layout(constant_id = SPEC_DTYPE_C) const uint DTYPE_C = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32;
layout(constant_id = SPEC_FLAGS) const uint FLAGS = 0;

// A piece of D, and who stores it. All invocations of the workgroup call; those with nothing to store have no rows.
struct Piece {
    uint row0, col0;
    uint rows, cols;      // even; what lies outside of D is left out
    uint thread, threads; // of those that share it
};

// Pairs along lines of `extent` pairs, one of every `threads` for an invocation: no division but the first.
struct Walk {
    uint line, pair, next_line, next_pair, extent;
};
Walk start_walk(uint thread, uint threads, uint extent) {
    return Walk(thread / extent, thread % extent, threads / extent, threads % extent, extent);
}
void advance(inout Walk w) {
    w.pair += w.next_pair;
    w.line += w.next_line + (w.pair >= w.extent ? 1 : 0);
    w.pair -= w.pair >= w.extent ? w.extent : 0;
}

// D = alpha (what is staged) + beta C, rows stored by neighbours; then the squares of rows, and of a symmetric result
// what lies below the diagonal, as columns.
void store_piece(uint j, uint item, Piece piece) {
    U32 c = p.jobs.job[j].c;
    U32 d = p.jobs.job[j].d;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint flags = p.jobs.job[j].flags;
    float alpha = p.jobs.job[j].alpha;
    float beta = p.jobs.job[j].beta;
    uint c_item = item * p.jobs.job[j].c_batch;
    uint d_item = item * p.jobs.job[j].d_batch;
    uint c_row = p.jobs.job[j].c_row;
    uint d_row = p.jobs.job[j].d_row;
    bool has_c = (flags & GEMM_HAS_C) != 0;
    bool pairs = (flags & GEMM_D_PAIRS) != 0;
    bool symmetric = (flags & GEMM_SYMMETRIC) != 0;

    [[dont_unroll]] for (Walk w = start_walk(piece.thread, piece.threads, piece.cols / 2); w.line < piece.rows; advance(w)) {
        uint r = w.line;
        uint s = w.pair * 2;
        uint row = piece.row0 + r;
        uint col = piece.col0 + s;
        // Of a symmetric result, what lies below the diagonal comes from above it.
        bool keep0 = row < m && col < n && !(symmetric && col < row);
        bool keep1 = row < m && col + 1 < n && !(symmetric && col + 1 < row);
        vec2 value = alpha * vec2(staged(r, s), staged(r, s + 1));
        if (has_c) {
            uint at = c_item + row * c_row + col;
            if (keep0)
                value.x += beta * load(c, at, DTYPE_C);
            if (keep1)
                value.y += beta * load(c, at + 1, DTYPE_C);
        }
        uvec2 bits = uvec2(to_bits(value.x, DTYPE_D), to_bits(value.y, DTYPE_D));
        store_two(d, d_item + row * d_row + col, bits, keep0, keep1, pairs, DTYPE_D);
        stage(r, s, keep0 ? value.x : 0.0);
        stage(r, s + 1, keep1 ? value.y : 0.0);
    }
    if ((FLAGS & PRODUCT_SQUARES) != 0) {
        barrier();
        F32 squares = p.jobs.job[j].squares;
        uint parts = (n + piece.cols - 1) / piece.cols;
        for (uint r = piece.thread; r < piece.rows; r += piece.threads) {
            float sum = 0.0;
            [[dont_unroll]] for (uint s = 0; s < piece.cols; ++s)
                sum += staged(r, s) * staged(r, s);
            if (piece.row0 + r < m && piece.col0 < n)
                squares.v[(item * m + piece.row0 + r) * parts + piece.col0 / piece.cols] = sum;
        }
    }
    if (symmetric) {
        barrier();
        [[dont_unroll]] for (Walk w = start_walk(piece.thread, piece.threads, max(piece.rows / 2, 1));
                             w.line < piece.cols && piece.rows > 0; advance(w)) {
            uint r = w.pair * 2;
            uint s = w.line;
            uint row = piece.row0 + r;
            uint col = piece.col0 + s;
            bool keep0 = row < m && col < n && col > row;
            bool keep1 = row + 1 < m && col < n && col > row + 1;
            uvec2 bits = uvec2(to_bits(staged(r, s), DTYPE_D), to_bits(staged(r + 1, s), DTYPE_D));
            store_two(d, d_item + col * d_row + row, bits, keep0, keep1, pairs, DTYPE_D);
        }
    }
}

#endif
