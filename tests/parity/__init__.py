"""What uvicorn does for an app, outgrow does: each behaviour is observed on both and compared."""
