"""DICOM, the format of radiology: one frame of a file, as the file says it is to be seen.

Nothing that a file says of a patient is read, so that nothing of it can get into a notice, an error
or a log. What is burnt into the pixels themselves stays there.
"""

from gradcam_core.images.formats.dicom.reader import decode

__all__ = ["decode"]
