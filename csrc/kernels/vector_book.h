/* Matrices that keep a codebook's entry numbers: their chunks are expanded on the way to the kernel of the pack. */

/* Of one thread, at the beginning of its scratch. A few panels are read side by side. */
typedef struct book_scratch {
    _Alignas(64) uint8_t tables[OXI_BOOK_TABLE_BYTES];
    _Alignas(64) uint8_t flat[TILE_PANELS][OXI_FLAT_BYTES];
} book_scratch;

/* Packs that codebooks expand to; asked first, so that others have no code for it. */
INLINE bool with_book(oxi_pack pack, const oxi_matrix *m)
{
    return (pack == OXI_PACK_T3_256 || pack == OXI_PACK_T3_256_16 || pack == OXI_PACK_T4_256) && m->book;
}

/* Bytes from one chunk of a panel to the next. */
INLINE size_t chunk_step(oxi_pack pack, const oxi_matrix *m, int n_groups)
{
    return with_book(pack, m) ? oxi_book_places_of(m->book, group_of(pack)).bytes : oxi_chunk_bytes(pack, n_groups);
}

/* The chunk at `src` as the pack draws it. */
INLINE const uint8_t *flat_chunk(oxi_pack pack, const oxi_matrix *m, const uint8_t *src, book_scratch *b, int panel)
{
    if (!with_book(pack, m)) return src;
    m->expander->expand(m->book, group_of(pack), b->tables, src, b->flat[panel]);
    return b->flat[panel];
}
