"""DICOM, the format of radiology: one frame of a file, displayed as the file asks.

Patient data is never read, so none of it can reach a notice, an error or a log. Text that is burnt
into the pixels stays there.
"""

from gradcam_core.images.formats.dicom.reader import decode

__all__ = ["decode"]
