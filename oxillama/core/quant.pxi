import numpy as np

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef size_t _encoded_bytes(uint32_t type, uint64_t n) except 0:
    """Bytes of n weights of a type. Raises an error that names the type if that is not possible."""
    cdef const oxi.oxi_type_info *info = oxi.oxi_type_describe(type)
    if info.name == NULL or info.block_size == 0:
        raise ModelUnsupportedError(f"tensor type {type} is not supported")
    if n == 0 or n % info.block:
        raise InvalidParameterError(f"{n} weights are not a positive multiple of {info.name.decode()}'s block of {info.block}")
    return <size_t>(n // info.block * info.block_size)


def dequantize(uint32_t type, const uint8_t[::1] data not None, uint64_t n):
    """Decode `n` weights of GGUF tensor type `type` to float32, bit for bit as the format defines.

    Raises ModelUnsupportedError (type), InvalidParameterError (n not a multiple of the block, data of the wrong length).
    """
    cdef size_t need = _encoded_bytes(type, n)
    cdef oxi.oxi_error err
    cdef oxi.oxi_status status
    if <size_t>data.shape[0] != need:
        raise InvalidParameterError(f"{n} weights of this type take {need} bytes, got {data.shape[0]}")
    out = np.empty(n, np.float32)
    cdef float[::1] view = out
    with nogil:
        status = oxi.oxi_dequantize(type, &data[0], n, &view[0], &err)
    check(status, &err)
    return out


cdef class Quantizer:
    """Quantises weights to one tensor type. Threads may share one."""

    cdef oxi.oxi_quantizer *_ptr
    cdef readonly uint32_t type

    def __cinit__(self, uint32_t type):
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        with nogil:
            status = oxi.oxi_quantizer_open(&self._ptr, type, &err)
        check(status, &err)
        self.type = type

    def __dealloc__(self):
        oxi.oxi_quantizer_close(&self._ptr)  # NULL after a failed open, and close accepts NULL

    def rows(self, const float[:, ::1] values not None, const float[::1] importance=None):
        cdef uint64_t n_rows = values.shape[0], n_cols = values.shape[1]
        cdef const float *columns = NULL
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        if importance is not None:
            if <uint64_t>importance.shape[0] != n_cols:
                raise InvalidParameterError(f"{importance.shape[0]} values of importance for {n_cols} columns")
            columns = &importance[0]
        out = np.empty(n_rows * _encoded_bytes(self.type, n_cols), np.uint8)
        cdef uint8_t[::1] view = out
        if n_rows:
            with nogil:
                status = oxi.oxi_quantizer_rows(self._ptr, &values[0, 0], n_rows, n_cols, columns, &view[0], &err)
            check(status, &err)
        return out


def quantize(uint32_t type, const float[::1] values not None):
    """Quantise float32 values to GGUF tensor type `type`, as Quantizer does, for one row."""
    return Quantizer(type).rows(np.asarray(values).reshape(1, -1))


def quantizable_types():
    """Numbers of the types that Quantizer supports."""
    return [n for n in range(oxi.OXI_TYPE_COUNT) if oxi.oxi_quantizable(n)]
