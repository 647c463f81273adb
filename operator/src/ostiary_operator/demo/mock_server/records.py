"""The models of the records, from which the tools' output schemas are generated."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["admin", "editor", "viewer"]


class SampleRecord(BaseModel):
    """The base of all records: they are immutable."""

    model_config = ConfigDict(frozen=True)


class User(SampleRecord):
    """A user of the sample site."""

    id: int = Field(description="The user's id.")
    name: str = Field(description="Full name.")
    email: str = Field(description="E-mail address, unique among users.")
    role: Role = Field(description="What the user may do.")
    city: str = Field(description="Where the user lives.")
    created: str = Field(description="When the user was created, an ISO 8601 date.")


class Post(SampleRecord):
    """A short article by a user."""

    id: int = Field(description="The post's id.")
    user_id: int = Field(description="The id of the user who wrote it.")
    title: str = Field(description="Title.")
    body: str = Field(description="Text.")
    tags: list[str] = Field(description="Tags, in lower case.")
    created: str = Field(description="When the post was created, an ISO 8601 date.")


class Product(SampleRecord):
    """Something the shop sells."""

    id: int = Field(description="The product's id.")
    name: str = Field(description="Name.")
    category: str = Field(description="Category.")
    price: float = Field(description="Price in euros.")
    stock: int = Field(description="How many are in stock.")


class PageViews(SampleRecord):
    """How often one page was seen, day by day."""

    path: str = Field(description="The page's path.")
    daily: list[int] = Field(description="Views per day, the oldest day first.")
    total: int = Field(description="The sum of the days.")
