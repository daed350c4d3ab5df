from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

FUNCTIONS = {
    "none": oxi.OXI_FN_NONE,
    "silu": oxi.OXI_FN_SILU,
    "gelu": oxi.OXI_FN_GELU,
    "relu": oxi.OXI_FN_RELU,
    "relu2": oxi.OXI_FN_RELU2,
    "sigmoid": oxi.OXI_FN_SIGMOID,
    "tanh": oxi.OXI_FN_TANH,
    "gelu_erf": oxi.OXI_FN_GELU_ERF,
    "gelu_quick": oxi.OXI_FN_GELU_QUICK,
    "softplus": oxi.OXI_FN_SOFTPLUS,
    "exp": oxi.OXI_FN_EXP,
    "swiglu_clamped": oxi.OXI_FN_SWIGLU_CLAMPED,
}
NORMS = {"rms": oxi.OXI_NORM_RMS, "layer": oxi.OXI_NORM_LAYER}
ROPES = {"pairs": oxi.OXI_ROPE_PAIRS, "halves": oxi.OXI_ROPE_HALVES}
EMBEDS = {"token": oxi.OXI_EMBED_BY_TOKEN, "position": oxi.OXI_EMBED_BY_POSITION, "first": oxi.OXI_EMBED_FIRST}
LIMITS = {"not": oxi.OXI_LIMITED_NOT, "gate": oxi.OXI_LIMITED_GATE, "activation": oxi.OXI_LIMITED_ACTIVATION}
GATINGS = {
    "softmax": oxi.OXI_GATING_SOFTMAX,
    "sigmoid": oxi.OXI_GATING_SIGMOID,
    "softmax_chosen": oxi.OXI_GATING_SOFTMAX_CHOSEN,
}
CACHE_TYPES = {
    "f32": oxi.OXI_CACHE_F32,
    "f16": oxi.OXI_CACHE_F16,
    "i16": oxi.OXI_CACHE_I16,
    "q8_0": oxi.OXI_CACHE_Q8_0,
}
MAX_LINEAR_PARTS = oxi.OXI_LINEAR_PARTS
MAX_KV_HEADS = oxi.OXI_MAX_KV_HEADS
MAX_HEAD_DIM = oxi.OXI_MAX_HEAD_DIM
PAGE_TOKENS = oxi.OXI_PAGE_TOKENS


def quick_cache_type():
    """The 16-bit cache type, "f16" or "i16", that is faster on the isa in use."""
    ensure_kernels()
    cdef int quick = oxi.oxi_cache_quick()
    return next(name for name, value in CACHE_TYPES.items() if value == quick)


def cache_head_bytes(str cache_type, int32_t key_dim, int32_t value_dim, bint shared=False):
    """Bytes of PAGE_TOKENS positions of one head of keys and values."""
    return oxi.oxi_cache_head_bytes(<oxi.oxi_cache_type><int>CACHE_TYPES[cache_type], key_dim, value_dim, shared)


def window_pages(int32_t window, int32_t n_pages, int32_t n_batch, int32_t n_active, int32_t n_saved):
    """How many pages a runner has for layers with a window; 0: for those without."""
    return oxi.oxi_window_pages(window, n_pages, n_batch, n_active, n_saved)


def state_blocks(int32_t n_active, int32_t n_saved):
    """How many blocks of recurrent states a runner has."""
    return oxi.oxi_state_blocks(n_active, n_saved)


def packed_bytes(uint32_t type, int64_t n_rows, int64_t n_cols):
    """Bytes of a matrix of GGUF tensor type `type` once packed. Raises ModelUnsupportedError if it cannot be packed."""
    cdef oxi_matrix m
    cdef oxi.oxi_error err
    ensure_kernels()
    check(oxi_pack_plan(&m, type, oxi_kernels_get().decoder, n_rows, n_cols, &err), &err)
    return oxi_pack_bytes(&m)


cdef class ThreadPool:
    """Persistent worker threads; the calling thread is one of them. Runs one job at a time. cpus: the processors that
    threads are bound to, the calling thread's first, while it computes; None: any."""

    cdef oxi.oxi_pool *_ptr
    cdef readonly int n_threads

    def __cinit__(self, int n_threads, cpus=None):
        cdef oxi.oxi_error err
        cdef const int[::1] bound
        cdef const int *first = NULL
        if cpus is not None:
            if len(cpus) != n_threads:
                raise InvalidParameterError(f"{n_threads} threads cannot be bound to {len(cpus)} processors")
            bound = np.array(cpus, np.intc)
            first = &bound[0] if n_threads > 0 else NULL
        check(oxi.oxi_pool_open(&self._ptr, n_threads, first, &err), &err)
        self.n_threads = n_threads

    def __dealloc__(self):
        oxi.oxi_pool_close(&self._ptr)

    @property
    def counts(self):
        """What happened since the pool opened, for measurements: barriers, sleeps, wakes and caller_wakes."""
        return oxi.oxi_pool_counted(self._ptr)


@cython.no_gc
cdef class Program:
    """What one step computes, as the C core runs it. oxillama.models builds it op by op and packs its matrices.

    Ops use the field names of csrc/oxillama_ops.h; a view is a dict of buffer, column and width.
    """

    cdef oxi.oxi_program *_ptr
    cdef GGUF _file

    def __cinit__(self, GGUF file not None):
        cdef oxi.oxi_error err
        check(oxi.oxi_program_open(&self._ptr, &err), &err)
        self._file = file

    def __dealloc__(self):
        oxi.oxi_program_close(&self._ptr)

    def buffer(self, int32_t slot, int32_t width):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_buffer(self._ptr, slot, width, &id, &err), &err)
        return id

    def vector(self, const float[::1] values not None):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_vector(self._ptr, &values[0] if values.shape[0] else NULL, values.shape[0], &id, &err), &err)
        return id

    def table(self, str tensor):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_table(self._ptr, self._file.find(tensor), &id, &err), &err)
        return id

    def matrix(self, str tensor, int32_t n_experts, int64_t first_row, int64_t n_rows):
        """Rows of each of n_experts equal parts of a tensor: of its third dimension, or of its rows."""
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_matrix(self._ptr, self._file.find(tensor), n_experts, first_row, n_rows, &id, &err), &err)
        return id

    def cache(self, int32_t n_head, int32_t key_dim, int32_t value_dim, int32_t window=0, bint shared=False):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_cache(self._ptr, n_head, key_dim, value_dim, window, shared, &id, &err), &err)
        return id

    def state(self, int32_t n_floats):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_state(self._ptr, n_floats, &id, &err), &err)
        return id

    def op(self, str kind, bint outputs, dict fields):
        """Append an op; `outputs`: it works on the rows whose logits were requested, not on all rows."""
        cdef oxi.oxi_op op
        cdef oxi.oxi_error err
        memset(&op, 0, sizeof(op))
        op.rows = oxi.OXI_ROWS_OUTPUTS if outputs else oxi.OXI_ROWS_TOKENS
        if kind == "embed":
            op.kind, op.as_.embed = oxi.OXI_OP_EMBED, fields
        elif kind == "rope_table":
            op.kind, op.as_.rope_table = oxi.OXI_OP_ROPE_TABLE, fields
        elif kind == "norm":
            op.kind, op.as_.norm = oxi.OXI_OP_NORM, fields
        elif kind == "glu":
            op.kind, op.as_.glu = oxi.OXI_OP_GLU, fields
        elif kind == "rope":
            op.kind, op.as_.rope = oxi.OXI_OP_ROPE, fields
        elif kind == "kv_store":
            op.kind, op.as_.kv_store = oxi.OXI_OP_KV_STORE, fields
        elif kind == "attention":
            op.kind, op.as_.attention = oxi.OXI_OP_ATTENTION, fields
        elif kind == "experts":
            op.kind, op.as_.experts = oxi.OXI_OP_EXPERTS, fields
        elif kind == "select":
            op.kind, op.as_.select = oxi.OXI_OP_SELECT, fields
        elif kind == "affine":
            op.kind, op.as_.affine = oxi.OXI_OP_AFFINE, fields
        elif kind == "softcap":
            op.kind, op.as_.softcap = oxi.OXI_OP_SOFTCAP, fields
        elif kind == "head_linear":
            op.kind, op.as_.head_linear = oxi.OXI_OP_HEAD_LINEAR, fields
        elif kind == "gather":
            op.kind, op.as_.gather = oxi.OXI_OP_GATHER, fields
        elif kind == "gate":
            op.kind, op.as_.gate = oxi.OXI_OP_GATE, fields
        elif kind == "conv":
            op.kind, op.as_.conv = oxi.OXI_OP_CONV, fields
        elif kind == "delta":
            op.kind, op.as_.delta = oxi.OXI_OP_DELTA, fields
        elif kind == "clamp":
            op.kind, op.as_.clamp = oxi.OXI_OP_CLAMP, fields
        elif kind == "dot":
            op.kind, op.as_.dot = oxi.OXI_OP_DOT, fields
        elif kind == "dplr":
            op.kind, op.as_.dplr = oxi.OXI_OP_DPLR, fields
        elif kind == "scan":
            op.kind, op.as_.scan = oxi.OXI_OP_SCAN, fields
        elif kind == "linear":
            op.kind = oxi.OXI_OP_LINEAR
            fill_linear(&op.as_.linear, fields)
        else:
            raise ValueError(f"unknown op {kind!r}")
        check(oxi.oxi_program_op(self._ptr, &op, &err), &err)

    def results(self, dict logits, dict hidden):
        cdef oxi.oxi_error err
        check(oxi.oxi_program_results(self._ptr, logits, hidden, &err), &err)

    @property
    def matrix_bytes(self):
        """Packed bytes of each matrix, in order."""
        return [oxi.oxi_program_matrix_bytes(self._ptr, i) for i in range(oxi.oxi_program_n_matrices(self._ptr))]

    def readings(self, bint several):
        """How each matrix is read for one or two tokens or for `several`, in order: names from `readings()`."""
        return [oxi.oxi_reading_name(oxi.oxi_program_reading(self._ptr, i, several)).decode()
                for i in range(oxi.oxi_program_n_matrices(self._ptr))]

    def read_as(self, int32_t matrix, bint several, str reading):
        """Read a matrix as `reading` says, for one or two tokens or for `several`. That changes speed, never a bit of a
        result. Fails while a runner is open."""
        cdef oxi.oxi_error err
        check(oxi.oxi_program_read_as(self._ptr, matrix, several, reading_index(reading), &err), &err)

    @property
    def matrix_types(self):
        """The GGUF tensor type of each matrix, in order."""
        return [oxi.oxi_program_matrix_type(self._ptr, i) for i in range(oxi.oxi_program_n_matrices(self._ptr))]

    def compare_readings(self, uint32_t type, bint several, int n_rounds, ThreadPool pool not None):
        """How fast products of one token, or of eight if `several`, read the packed matrices of a tensor type in each
        way: rows of bytes per second, one row for each round, in the order of `readings()`. Releases the GIL."""
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        rates = np.zeros((max(0, min(n_rounds, 1000)), len(readings())))
        cdef double[:, ::1] view = rates
        cdef double *out = &view[0, 0] if n_rounds > 0 else NULL
        with nogil:
            status = oxi.oxi_program_compare_readings(self._ptr, type, several, n_rounds, pool._ptr, out, &err)
        check(status, &err)
        return rates

    def reserve(self):
        """Allocate the memory of all packed matrices. Raises MemoryError."""
        cdef oxi.oxi_error err
        check(oxi.oxi_program_reserve(self._ptr, &err), &err)

    def pack(self, int32_t matrix, ThreadPool pool not None):
        """Pack one matrix on all threads and give its mapped pages back. Releases the GIL."""
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        self._file.still_whole()
        with nogil:
            status = oxi.oxi_program_pack(self._ptr, matrix, pool._ptr, self._file._ptr, &err)
        check(status, &err)


cdef int fill_linear(oxi.oxi_op_linear *linear, dict fields) except -1:
    parts = fields["parts"]
    if not 1 <= len(parts) <= oxi.OXI_LINEAR_PARTS:
        raise ValueError(f"a linear op has 1 to {oxi.OXI_LINEAR_PARTS} matrices, not {len(parts)}")
    linear.x = fields["x"]
    linear.prologue = oxi.OXI_PROLOGUE_NONE
    if "norm" in fields:
        linear.prologue, linear.norm = oxi.OXI_PROLOGUE_NORM, fields["norm"]
    elif "glu" in fields:
        linear.prologue, linear.glu = oxi.OXI_PROLOGUE_GLU, fields["glu"]
    linear.n_parts = len(parts)
    for i, part in enumerate(parts):
        linear.part[i].matrix = part["matrix"]
        linear.part[i].bias = part["bias"]
        linear.part[i].scale = part["scale"]
        linear.part[i].out = part["out"]
        linear.part[i].addend = part["addend"]
    return 0
