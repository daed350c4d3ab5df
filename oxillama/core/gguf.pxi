import os

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

# Names of the value types in Python and numpy, by GGUF number. Arrays and strings have no numpy type.
_META_NAMES = ("u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "arr", "u64", "i64", "f64")
_META_DTYPES = ("<u1", "<i1", "<u2", "<i2", "<u4", "<i4", "<f4", "?", None, None, "<u8", "<i8", "<f8")


cdef class TensorInfo:
    """One tensor's description; shape[0] is the contiguous dimension."""

    cdef readonly str name
    cdef readonly int type
    cdef readonly str type_name
    cdef readonly tuple shape
    cdef readonly object n_elements
    cdef readonly object n_bytes

    def __init__(self):
        raise TypeError("TensorInfo comes from GGUF.tensors()")

    def __repr__(self):
        return f"TensorInfo({self.name!r}, {self.type_name}, {list(self.shape)})"


@cython.no_gc
cdef class _Extent:
    """A read-only part of a mapping; it keeps the file open."""

    cdef GGUF _file
    cdef const uint8_t *_data
    cdef Py_ssize_t _n

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, <void *>self._data, self._n, 1, flags)


cdef class GGUF:
    """An open GGUF file (all shards), read-only and mapped. Threads may share one."""

    cdef oxi.oxi_gguf *_ptr
    cdef readonly str path

    def __cinit__(self, path):
        cdef bytes name = os.fsencode(path)
        if b"\0" in name:
            raise ValueError("embedded null byte in a file's name")
        cdef const char *c_name = name
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        self.path = os.fsdecode(path)
        with nogil:
            status = oxi.oxi_gguf_open(&self._ptr, c_name, &err)
        check(status, &err)

    def __dealloc__(self):
        oxi.oxi_gguf_close(&self._ptr)  # NULL after a failed open, and close accepts NULL

    @property
    def file_bytes(self):
        return oxi.oxi_gguf_file_bytes(self._ptr)

    def metadata(self):
        """All key/values: strings as str (surrogateescape), numeric arrays as numpy arrays, string arrays as lists."""
        cdef dict values = {}
        cdef const oxi.oxi_meta *meta
        cdef uint64_t i
        self.still_whole()
        for i in range(oxi.oxi_gguf_n_meta(self._ptr)):
            meta = oxi.oxi_gguf_meta(self._ptr, i)
            values[text(meta.key, meta.key_len)] = value_of(meta)
        return values

    def value(self, str key):
        """One key's value, in the form that metadata() gives. Raises KeyError if the file has no such key."""
        cdef bytes encoded = key.encode("utf-8", "surrogateescape")
        cdef const oxi.oxi_meta *meta = NULL
        if b"\0" not in encoded:
            meta = oxi.oxi_gguf_find_meta(self._ptr, encoded)
        if meta == NULL:
            raise KeyError(key)
        self.still_whole()
        return value_of(meta)

    def metadata_types(self):
        """GGUF type names: "u32", "str", "arr[i32]", …"""
        cdef dict names = {}
        cdef const oxi.oxi_meta *meta
        cdef uint64_t i
        self.still_whole()
        for i in range(oxi.oxi_gguf_n_meta(self._ptr)):
            meta = oxi.oxi_gguf_meta(self._ptr, i)
            name = _META_NAMES[meta.type]
            names[text(meta.key, meta.key_len)] = f"arr[{_META_NAMES[meta.elem]}]" if meta.type == oxi.OXI_META_ARRAY else name
        return names

    def tensors(self):
        """Descriptions by name, in the file's order."""
        cdef dict infos = {}
        cdef uint64_t i
        for i in range(oxi.oxi_gguf_n_tensors(self._ptr)):
            info = describe(oxi.oxi_gguf_tensor(self._ptr, i))
            infos[info.name] = info
        return infos

    def raw(self, str name):
        """The tensor's bytes: a read-only view that keeps the mapping open.

        Raises KeyError if the file has no such tensor, ModelFormatError if the file was cut short meanwhile.
        """
        import numpy as np

        cdef const oxi.oxi_tensor *tensor = self.find(name)
        self.still_whole()
        cdef _Extent extent = _Extent.__new__(_Extent)
        extent._file = self
        extent._data = tensor.data
        extent._n = <Py_ssize_t>tensor.n_bytes
        return np.frombuffer(extent, dtype=np.uint8)

    def release(self, str name):
        """Give a tensor's mapped pages back to the system. Reading them again is slow but allowed.

        Raises KeyError if the file has no such tensor.
        """
        oxi.oxi_gguf_release(self._ptr, self.find(name))

    cdef const oxi.oxi_tensor *find(self, str name) except NULL:
        cdef bytes encoded = name.encode("utf-8", "surrogateescape")
        cdef const oxi.oxi_tensor *tensor = NULL
        if b"\0" not in encoded:
            tensor = oxi.oxi_gguf_find_tensor(self._ptr, encoded)
        if tensor == NULL:
            raise KeyError(name)
        return tensor

    cdef int still_whole(self) except -1:
        cdef oxi.oxi_error err
        return check(oxi.oxi_gguf_check(self._ptr, &err), &err)


cdef inline str text(const char *data, uint64_t n):
    return PyUnicode_DecodeUTF8(data, <Py_ssize_t>n, "surrogateescape")


cdef TensorInfo describe(const oxi.oxi_tensor *tensor):
    cdef TensorInfo info = TensorInfo.__new__(TensorInfo)
    info.name = tensor.name.decode("utf-8", "surrogateescape")
    info.type = tensor.type
    info.type_name = oxi.oxi_type_describe(tensor.type).name.decode()
    info.shape = tuple([tensor.ne[d] for d in range(tensor.n_dims)])
    info.n_elements = tensor.n_elements
    info.n_bytes = tensor.n_bytes
    return info


cdef object value_of(const oxi.oxi_meta *meta):
    if meta.type == oxi.OXI_META_STRING:
        return text(<const char *>meta.data, meta.n)
    if meta.type != oxi.OXI_META_ARRAY:
        return numbers(meta.data, 1, meta.type)[0].item()
    if meta.elem == oxi.OXI_META_STRING or meta.elem == oxi.OXI_META_ARRAY:
        return items_of(meta)
    return numbers(meta.data, meta.n, meta.elem)


cdef list items_of(const oxi.oxi_meta *array):
    cdef list items = PyList_New(<Py_ssize_t>array.n)
    cdef const uint8_t *at = array.data
    cdef oxi.oxi_meta item
    cdef Py_ssize_t i
    for i in range(<Py_ssize_t>array.n):
        oxi.oxi_gguf_next(array, &at, &item)
        # Vocabularies have hundreds of thousands of strings, so strings take a short path.
        value = text(<const char *>item.data, item.n) if array.elem == oxi.OXI_META_STRING else value_of(&item)
        Py_INCREF(value)  # SET_ITEM steals the reference
        PyList_SET_ITEM(items, i, value)
    return items


cdef object numbers(const uint8_t *data, uint64_t n, uint32_t meta_type):
    """A copy: the file's bytes are not aligned, and a copy outlives the mapping."""
    import numpy as np

    array = np.empty(n, dtype=_META_DTYPES[meta_type])
    cdef uint8_t[::1] target
    if n:
        target = array.view(np.uint8)
        memcpy(&target[0], data, array.nbytes)
    return array


def tensor_types():
    """Every tensor type whose size is known: number → (name, weights per block, bytes per block)."""
    cdef const oxi.oxi_type_info *info
    types = {}
    for number in range(oxi.OXI_TYPE_COUNT):
        info = oxi.oxi_type_describe(number)
        if info.name != NULL and info.block_size:
            types[number] = (info.name.decode(), info.block, info.block_size)
    return types
