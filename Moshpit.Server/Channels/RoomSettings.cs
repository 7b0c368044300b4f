using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>What a channel allows and how long it lives, as its creator asked and its owner has changed it.</summary>
/// <param name="Max">Most peers, those that are away too; 0: as many as the server allows.</param>
/// <param name="OwnerPublishes">Only the owner may send to more than one peer.</param>
/// <param name="IsKept">The channel outlives its owner: another peer becomes the owner.</param>
/// <param name="IsLocked">No new peer may join.</param>
internal sealed record RoomSettings(int Max = 0, bool OwnerPublishes = false, bool IsKept = false, bool IsLocked = false)
{
    /// <summary>Bytes of the longest form of either kind.</summary>
    public const int MaxLength = 80;

    /// <summary>As a channel is whose creator asked for nothing.</summary>
    public static readonly RoomSettings Default = new();

    /// <summary>Adds the members of JSON that say how it differs from <see cref="Default"/>.</summary>
    public void WriteDifferences(SharedFrame output)
    {
        if (IsLocked)
            output.Append(",\"locked\":true"u8);
        if (Max > 0)
            EventWriter.WriteMember(output, ",\"max\":"u8, Max);
        if (OwnerPublishes)
            output.Append(",\"publish\":\"owner\""u8);
        if (IsKept)
            output.Append(",\"keep\":true"u8);
    }

    /// <summary>Adds the members of JSON that say all of it.</summary>
    public void Write(SharedFrame output)
    {
        output.Append(IsLocked ? ",\"locked\":true"u8 : ",\"locked\":false"u8);
        EventWriter.WriteMember(output, ",\"max\":"u8, Max);
        output.Append(OwnerPublishes ? ",\"publish\":\"owner\""u8 : ",\"publish\":\"all\""u8);
        output.Append(IsKept ? ",\"keep\":true"u8 : ",\"keep\":false"u8);
    }
}

/// <summary>What an owner changes of the settings; null: that stays as it is.</summary>
internal readonly record struct RoomChanges(int? Max, bool? OwnerPublishes, bool? IsKept, bool? IsLocked)
{
    public bool AreNone => this == default;

    public RoomSettings ApplyTo(RoomSettings settings) => new(
        Max ?? settings.Max, OwnerPublishes ?? settings.OwnerPublishes, IsKept ?? settings.IsKept, IsLocked ?? settings.IsLocked);
}
