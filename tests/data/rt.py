"""DICOM series in any grid, and structure sets by hand, with pydicom alone."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage
from scipy.spatial.transform import Rotation

from .odd.dicom import UID, header, write_series

LPS = np.diag([-1.0, -1, 1, 1])
FRAME, SERIES = f"{UID}3", f"{UID}2.1"


def make_affine(shape, spacing, angles=(0, 0, 0), centre=(10.0, -20, 30)):
    """A grid around a centre (mm, RAS) whose axes are those of a DICOM series, turned by Euler angles (degrees)."""
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag([-1.0, -1, 1])
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing)
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ (np.array(shape) - 1) / 2
    return affine


def make_series(folder: Path, shape, affine, *, change=None, series=1):
    """Write a CT in this grid; voxels are the number of the slice."""
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)

    def place(dataset, number):
        dataset.ImagePositionPatient = (lps[:3, 3] + number * lps[:3, 2]).tolist()
        dataset.ImageOrientationPatient = (lps[:3, :2] / spacing[:2]).T.ravel().tolist()
        dataset.PixelSpacing, dataset.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        if change is not None:
            change(dataset, number)

    stored = np.broadcast_to(np.arange(shape[2], dtype=np.uint16), shape)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return write_series(folder, stored, change=place, series=series)


def points_of(shape, affine):
    """World coordinates of all voxel centres, (3, X, Y, Z) (mm, RAS)."""
    voxels = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)])
    return np.tensordot(affine, voxels, 1)[:3]


def to_ras(affine, polygon, height):
    """Corners (N, 2) in voxels, at a height along the third axis, in mm (RAS)."""
    polygon = np.asarray(polygon, float)
    voxels = np.column_stack([polygon, np.full(len(polygon), height), np.ones(len(polygon))])
    return (voxels @ affine.T)[:, :3]


def make_structure_set(file: Path, structures, *, frame=FRAME, series=SERIES, change=None):
    """Write a structure set: name and contours, (N, 3) each (mm, RAS), of every structure.

    A contour may be a pair of its type and its corners.
    """
    dataset = header(RTStructureSetStorage, "RTSTRUCT", series=7)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    refer = pydicom.Dataset()
    refer.SeriesInstanceUID = series
    study = pydicom.Dataset()
    study.RTReferencedSeriesSequence = [refer]
    frames = pydicom.Dataset()
    frames.FrameOfReferenceUID = frame
    frames.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frames]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures, start=1):
        roi, outlined = pydicom.Dataset(), pydicom.Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, frame
        outlined.ReferencedROINumber, outlined.ContourSequence = number, []
        for contour in contours:
            kind, points = contour if isinstance(contour, tuple) else ("CLOSED_PLANAR", contour)
            item = pydicom.Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
            item.ContourData = [f"{value:.6f}"[:16] for value in (np.asarray(points) * [-1, -1, 1]).ravel()]
            outlined.ContourSequence.append(item)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(outlined)
    if change is not None:
        change(dataset)
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)
    return file
