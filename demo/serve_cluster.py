"""`python -m demo.serve_cluster`: replicas for a page with GRADCAM_BACKEND=ray."""

from demo.compute.cluster.deployment import main

if __name__ == "__main__":
    main()
