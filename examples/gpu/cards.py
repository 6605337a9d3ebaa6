"""Names the GPUs by the driver's own library, which the provider lays over the image."""

import ctypes
import sys

try:
    cuda = ctypes.CDLL("libcuda.so.1")
except OSError:
    sys.exit("there is no driver: this machine has no GPU for us")

if error := cuda.cuInit(0):
    sys.exit(f"the driver does not start: error {error}")
count = ctypes.c_int()
cuda.cuDeviceGetCount(ctypes.byref(count))
for number in range(count.value):
    name = ctypes.create_string_buffer(100)
    cuda.cuDeviceGetName(name, len(name), number)
    print(name.value.decode())
