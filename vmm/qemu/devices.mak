# What is in our QEMU beside its CPUs: the two boards of src/vm/command_line.cpp, which bring what they consist of, and the devices that it
# names there.
CONFIG_MICROVM=y
CONFIG_Q35=y

CONFIG_VIRTIO_SERIAL=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_SCSI=y
CONFIG_SCSI=y
CONFIG_VIRTIO_9P=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_BALLOON=y
CONFIG_VIRTIO_PCI=y
CONFIG_VFIO=y
CONFIG_VFIO_PCI=y
