"""What a pose is: places, similarity, and the container of many people's keypoints."""
