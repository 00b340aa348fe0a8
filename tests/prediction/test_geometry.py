import itertools, time
import numpy as np, nibabel as nib, torch
from nibabel.orientations import apply_orientation, inv_ornt_aff
from scipy.spatial.transform import Rotation
SHAPE=(26,23,20)
def centred(L, shape):
    A=np.eye(4); A[:3,:3]=L; A[:3,3]=-L@(np.array(shape)//2); return A
R=Rotation.from_euler("xyz",[20,-10,15],degrees=True).as_matrix()
SH=np.eye(3); SH[1,2]=0.25
BASES={"own":(np.eye(3),(26,23,20)),"straight":(np.diag([1.,1.5,2.5]),(26,17,10)),"obl own":(R,(26,23,20)),"oblique":(R@np.diag([1.1,1.3,2.]),(24,19,12)),"sheared":(SH@np.diag([1.,1.2,2.]),(26,19,12)),"sheared own":(SH@np.eye(3),(26,23,20)), "half":(np.diag([.5,.5,1]),(45,40,20))}
def pts(A,shape):
    v=np.stack(np.meshgrid(*map(np.arange,shape),indexing="ij"),-1)
    return v@A[:3,:3].T+A[:3,3]
def test_x(predictor, phantom):
    for name,(L,shape) in BASES.items():
        A=centred(L,shape); v=phantom(pts(A,shape)).astype(np.float32)
        t=time.time()
        ref=predictor(v,affine=A,probabilities=True)
        diffs=[];pd=[]
        for perm in itertools.permutations(range(3)):
            for flips in itertools.product((1,-1),repeat=3):
                o=np.array([(p,f) for p,f in zip(perm,flips)])
                w=apply_orientation(v,o); B=A@inv_ornt_aff(o,shape)
                p=predictor(w.copy(),affine=B,probabilities=True)
                back=apply_orientation(ref.labels,o)
                diffs.append((back!=p.labels).sum()); pd.append(abs(apply_orientation(ref.probabilities,o)-p.probabilities).max())
        print(name, np.bincount(ref.labels.ravel()), max(diffs), sum(d>0 for d in diffs), max(pd), time.time()-t)
