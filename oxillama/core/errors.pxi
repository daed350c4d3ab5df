from oxillama.errors import (
    GenerationError,
    InvalidParameterError,
    KVCacheFullError,
    ModelFormatError,
    ModelUnsupportedError,
    OxillamaError,
    StepCancelledError,
)
# Not "from … cimport oxi": Cython would not see that this module depends on the file, and would not compile it again.
cimport oxillama.core.c_api.oxi as oxi

_EXCEPTIONS = {
    oxi.OXI_ERR_ARGUMENT: InvalidParameterError,
    oxi.OXI_ERR_FORMAT: ModelFormatError,
    oxi.OXI_ERR_UNSUPPORTED: ModelUnsupportedError,
    oxi.OXI_ERR_NOMEM: MemoryError,
    oxi.OXI_ERR_KV_FULL: KVCacheFullError,
    oxi.OXI_ERR_CANCELLED: StepCancelledError,
    oxi.OXI_ERR_NUMERIC: GenerationError,
}


cdef int check(oxi.oxi_status status, oxi.oxi_error *err) except -1:
    """Raise for a failed status. The text comes from C; only the exception class is chosen here."""
    if status == oxi.OXI_OK:
        return 0
    text = (<bytes>err.text).decode("utf-8", "replace")
    if status == oxi.OXI_ERR_IO:
        if err.sys_errno:
            raise OSError(err.sys_errno, text)
        raise OSError(text)
    raise _EXCEPTIONS.get(status, OxillamaError)(text)
