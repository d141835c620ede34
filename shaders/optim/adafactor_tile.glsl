// SPDX-License-Identifier: MIT
// Which rows and columns of which item an invocation has (optim/adafactor.h). The includer's job struct has the member
// `AdafactorTiles tiles`. begin_tile() comes first, and begin_item_round() for each round of items; they have to run in
// all invocations of the workgroup alike.
#ifndef HERON_OPTIM_ADAFACTOR_TILE_GLSL
#define HERON_OPTIM_ADAFACTOR_TILE_GLSL

uint tile_rows, tile_cols, tile_lane_cols, tile_lane_rows, tile_col_tiles, tile_row_tiles, tile_rounds, tile_flags, tile_count;
uint tile_lane_col, tile_lane_row; // the latter in its item
uint tile_items, tile_items_at_once, tile_item_rounds, tile_first_item;
uint tile_item, tile_row_tile, tile_col_tile;
uint tile_first_row;               // of round 0
uint tile_col, tile_valid_cols;    // first of the invocation's columns, and how many there are: 0 to 4
uint tile_valid;                   // the same, 0 where there is no item

void begin_item_round(uint r) {
    uint item = tile_first_item + r * tile_items_at_once;
    tile_item = min(item, tile_items - 1u);
    tile_valid = item < tile_items ? tile_valid_cols : 0u;
}

void begin_tile(uint j, uint group) {
    uint tile = group - p.jobs.job[j].first_group;
    tile_rows = p.jobs.job[j].tiles.rows;
    tile_cols = p.jobs.job[j].tiles.cols;
    tile_lane_cols = p.jobs.job[j].tiles.lane_cols;
    tile_lane_rows = p.jobs.job[j].tiles.lane_rows;
    tile_col_tiles = p.jobs.job[j].tiles.col_tiles;
    tile_row_tiles = p.jobs.job[j].tiles.row_tiles;
    tile_rounds = p.jobs.job[j].tiles.rounds;
    tile_flags = p.jobs.job[j].tiles.flags;
    tile_count = p.jobs.job[j].tiles.count;
    uint lane = gl_LocalInvocationID.x;
    tile_lane_col = lane & (tile_lane_cols - 1u);
    uint lane_row = lane / tile_lane_cols;
    tile_lane_row = lane_row & (tile_lane_rows - 1u);
    tile_col_tile = tile % tile_col_tiles;
    tile_row_tile = tile / tile_col_tiles % tile_row_tiles;
    tile_items = p.jobs.job[j].tiles.items;
    tile_items_at_once = p.jobs.job[j].tiles.tile_items;
    tile_item_rounds = p.jobs.job[j].tiles.item_rounds;
    tile_first_item =
        tile / tile_col_tiles / tile_row_tiles * tile_item_rounds * tile_items_at_once + lane_row / tile_lane_rows;
    tile_first_row = 4u * (tile_row_tile * tile_rounds * tile_lane_rows + tile_lane_row);
    tile_col = 4u * (tile_col_tile * tile_lane_cols + tile_lane_col);
    tile_valid_cols = tile_col < tile_cols ? min(4u, tile_cols - tile_col) : 0u;
    tile_col = min(tile_col, tile_cols - 1u);
    begin_item_round(0u);
}

bool is_vector() { return (tile_flags & ADAFACTOR_VECTOR) != 0u; }

// Within the tensor for rows and columns beyond it, too: a driver may load what is not asked for.
uint tile_line(uint row) { return tile_item * tile_rows + min(row, tile_rows - 1u); }
uint tile_element(uint row) { return min(tile_line(row) * tile_cols + tile_col, tile_count - 1u); }
uint valid_at(uint i) { return is_vector() ? min(4u, tile_count - i) : tile_valid; }

// The first of the invocation's rows in a round, and how many of the four there are.
uint tile_row(uint r) { return tile_first_row + 4u * tile_lane_rows * r; }
uint tile_row_count(uint row) {
    if (tile_valid == 0u || row >= tile_rows)
        return 0u;
    uint count = min(4u, tile_rows - row);
    bool beyond = is_vector() && (row + count - 1u) * tile_cols + tile_col >= tile_count;
    return beyond ? count - 1u : count;
}

#endif
